from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.config import EndpointConfig
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.reading import (
    farthest_first,
    level,
    read_alarms,
    read_drift,
    read_history,
    read_sums,
    read_window,
)
from gateway.tracking.drift.report import DriftStatus, history_prefix
from tests.drifted import SERIES, VERSION, WIDTH_S, Evaluated
from tests.drifting import monitor

START_S = 1_780_000_000.0
SETTINGS = EndpointConfig.model_validate(
    {"model": {"kind": "onnx", "path": "a.onnx"}, "reference": "a.npz", "drift": {"window": 200}}
)


def store(folder: Path) -> SqliteShared:
    return SqliteShared.open(folder, clock=lambda: START_S + 400.0)


def test_what_an_evaluation_wrote_is_read_back(tmp_path: Path) -> None:
    evaluated = Evaluated(tmp_path, monitor(), START_S)
    evaluated.go_on(16)
    last = evaluated.go_on(12, shift=1.0)
    shared = store(tmp_path)
    drift = read_drift(shared, "digits", VERSION, SETTINGS, 0.0)
    assert drift.status == last
    assert drift.history[-1].at_s <= last.at_s
    assert [one.at_s for one in drift.history] == sorted(one.at_s for one in drift.history)
    assert [one.series for one in drift.alarms if one.started and one.series == "a"] == ["a"]
    assert drift.alarms == read_alarms(shared, "digits")
    late = read_history(shared, "digits", VERSION, START_S + 150.0)
    assert late == drift.history[-len(late) :]
    assert 0 < len(late) < len(drift.history)
    assert late[0].at_s >= START_S + 150.0
    assert read_history(shared, "digits", "another bundle") == ()
    assert read_drift(shared, "another", VERSION, SETTINGS, 0.0).status is None
    shared.close()


def test_the_window_is_what_was_evaluated_last(tmp_path: Path) -> None:
    evaluated = Evaluated(tmp_path, monitor(), START_S)
    evaluated.go_on(3)
    shared = store(tmp_path)
    first = read_window(shared, "digits", VERSION)
    assert first is not None
    assert first.sums.rows == 150
    evaluated.go_on(9)
    window = read_window(shared, "digits", VERSION)
    buckets = read_sums(shared, "digits", VERSION, len(SERIES) - 1)
    assert window is not None
    assert window.sums.rows == 200
    newest = buckets[-4:]
    assert window.first_bucket == newest[0][0]
    assert window.sums == newest[0][1] + newest[1][1] + newest[2][1] + newest[3][1]
    assert len(buckets) == 12
    assert [began_s for began_s, _ in buckets] == [START_S + WIDTH_S * n for n in range(12)]
    assert len(read_sums(shared, "digits", VERSION, len(SERIES) - 1, START_S + 60.0)) == 5
    assert read_window(shared, "digits", "another bundle") is None
    shared.close()


def test_a_long_history_is_thinned_and_keeps_alarms_and_the_last(tmp_path: Path) -> None:
    shared = store(tmp_path)
    buckets = [*range(30_000, 30_000 + 30 * 2880, 30), 77_777]
    for bucket in buckets:
        status = DriftStatus("digits", VERSION, bucket + 10.0, 0, 0, False, None, ())
        shared.put_once(f"{history_prefix('digits')}{bucket:012d}/{VERSION}", msgspec.json.encode(status), 1e6)
    read = [one.at_s - 10.0 for one in read_history(shared, "digits", VERSION)]
    assert 500 < len(read) < 800
    assert {min(buckets), max(buckets), 77_777} <= set(read)
    shared.close()


def test_series_that_drift_come_first_then_the_farthest(tmp_path: Path) -> None:
    evaluated = Evaluated(tmp_path, monitor(), START_S)
    evaluated.go_on(16)
    series = farthest_first(evaluated.go_on(12, shift=1.0).series)
    drifted = [one.drifted for one in series]
    assert drifted == sorted(drifted, reverse=True)
    for group in (True, False):
        levels = [level(one) for one in series if one.drifted is group]
        assert levels == sorted(levels, reverse=True)
    assert level(msgspec.structs.replace(series[0], threshold=0.0)) == 0.0
