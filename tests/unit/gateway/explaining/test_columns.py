from __future__ import annotations

import numpy as np

from gateway.explaining.columns import MOST, SHOWN, farthest

NAMES = tuple("abcdefghijkl")


def test_the_farthest_come_first() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1000, 12)).astype(np.float32)
    row = np.zeros(12, dtype=np.float32)
    row[3], row[7] = 30.0, -9.0
    found = farthest(row, reference, NAMES)
    assert [column.name for column in found[:2]] == ["d", "h"]
    assert len(found) == SHOWN
    assert found[0].value == 30.0
    assert -3.0 < found[0].low < -2.0 < 2.0 < found[0].high < 3.0
    assert 9.0 < found[0].off < 16.0
    assert 3.0 < found[1].off < 5.0


def test_missing_and_constant_columns() -> None:
    reference = np.array([[1.0, np.nan, 5.0], [2.0, np.nan, 5.0], [3.0, np.nan, 5.0]])
    found = farthest(np.array([2.0, 7.0, 5.0]), reference, NAMES)
    assert [(column.name, column.off) for column in found] == [("a", 0.0), ("c", 0.0)]
    found = farthest(np.array([np.nan, 7.0, 6.0]), reference, NAMES)
    assert [column.name for column in found] == ["c"]
    assert found[0].off == MOST
