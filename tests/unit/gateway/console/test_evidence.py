from __future__ import annotations

import json

import numpy as np
import pytest

from gateway.console.calibration import Calibration
from gateway.console.evidence import VALUES_SHOWN, curl, series, spans, values_of
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild

LEARNED = Calibration("v", "t", {}, {}, np.empty(0), np.array([0.0, -1.0, 5.0]), np.array([1.0, 1.0, 6.0]))


def test_values_outside_the_reference_are_marked() -> None:
    row = np.array([0.5, 2.0, np.nan], dtype=np.float32)
    found = values_of(row, row * 2, {"columns": ["a", "<b>", "c"]}, LEARNED)
    assert [one.off for one in found] == [False, True, True]
    assert (found[1].name, found[1].low, found[1].high, found[1].purified) == ("<b>", -1.0, 1.0, 4.0)


def test_without_a_contract_the_bounds_count() -> None:
    found = values_of(np.array([0.5, 2.0]), None, {"bounds": [0.0, 1.0], "columns": []}, None)
    assert [(one.name, one.high, one.off) for one in found] == [("value 0", 1.0, False), ("value 1", 1.0, True)]
    assert not any(one.off for one in values_of(np.array([1e9]), None, {}, None))


def test_of_many_values_those_that_are_off_come_first() -> None:
    row = np.zeros(3 * VALUES_SHOWN)
    row[-1] = 9.0
    found = values_of(row, None, {"bounds": [0.0, 1.0]}, None)
    assert len(found) == VALUES_SHOWN
    assert found[0].name == f"value {len(row) - 1}"


@pytest.mark.parametrize("shape", [(50,), (2, 50), (50, 2), (1, 2, 50), (1, 1)])
def test_series_are_drawn_whatever_their_axes(shape: tuple[int, ...]) -> None:
    row = np.random.default_rng(0).normal(size=shape)
    drawn = series(row, row * 0.5)
    assert drawn.count("<path") == 2 * (2 if 2 in shape else 1)
    assert "nan" not in series(np.full(shape, np.nan), None)


def test_spans_lie_within_the_request() -> None:
    record = describe(observe(wild(1))).record
    names = [name for name, *_ in spans(record)]
    assert names == ["request", *(stage.name for stage in record.stages)]


def test_a_command_spells_every_value_exactly() -> None:
    record = describe(observe(wild(1))).record
    rows = np.random.default_rng(0).normal(size=(1, 7)).astype(np.float32)
    command = curl(record, rows, "http://x")
    assert command is not None
    sent = json.loads(command.split("-d '")[1][:-1])["x"]
    np.testing.assert_array_equal(np.array(sent, dtype=np.float32), rows)
    assert "null" in (curl(record, np.array([[np.nan]]), "http://x") or "")
    assert curl(record, np.zeros((1, 5000)), "http://x") is None
    assert curl(record, np.array([["a'; rm -rf /"]]), "http://x") is None
