from __future__ import annotations

import json

import numpy as np
import pytest

from gateway.console.evidence import curl, series, spans
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild


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
