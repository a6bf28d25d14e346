"""Drift through the real server: two workers count, one alarm is told of by one of them, and a new server goes on."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.report import DriftAlarm, DriftStatus, alarm_prefix, status_name
from gateway.training.bundle import MANIFEST
from models.batch import Array
from tests.command import calibrated, infer, serving
from tests.ports import free_port
from tests.waiting import until

WATCHED = {
    "chain": [{"kind": "mahalanobis"}],
    "mode": "shadow",
    "drift": {"window": 200, "one_false_alarm_in_rows": 5000, "every": "1s"},
}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_shifted_rows_of_two_workers_alarm_once_and_clean_ones_do_not(tmp_path: Path) -> None:
    calibrated(tmp_path, WATCHED)
    with np.load(tmp_path / "test.npz") as file:
        x: Array = file["x"][np.random.default_rng(0).permutation(len(file["x"]))]
    drifted = np.ascontiguousarray(x[..., ::-1])
    version = json.loads((tmp_path / "bundle" / "digits" / MANIFEST).read_text())["version"]
    port = free_port()
    with serving(tmp_path, port, workers=2):
        store = SqliteShared.open(tmp_path / "state")

        def status() -> DriftStatus | None:
            kept = store.load(status_name("digits", version))
            return None if kept is None else msgspec.json.decode(kept.value, type=DriftStatus)

        def rows() -> int:
            found = status()
            return 0 if found is None else found.rows

        def alarms() -> list[DriftAlarm]:
            found = store.values(alarm_prefix("digits")).values()
            return [msgspec.json.decode(value, type=DriftAlarm) for value in found]

        for start in range(0, 400, 4):
            assert infer(port, x[start : start + 4])[0] == 200
        until(lambda: rows() == 400)
        assert not alarms()
        for start in range(0, 400, 4):
            assert infer(port, drifted[start : start + 4])[0] == 200
        until(lambda: rows() == 800)
        found = status()
        assert found is not None
        assert found.drifted
        first = alarms()
        assert {alarm.series for alarm in first} == {each.name for each in found.series if each.drifted}
        assert all(alarm.started for alarm in first)
    with serving(tmp_path, port):
        for start in range(400, 500, 4):
            assert infer(port, drifted[start : start + 4])[0] == 200
        until(lambda: rows() == 900)
    again = [alarm for alarm in alarms() if alarm.series in {each.series for each in first}]
    assert again == first
    store.close()
