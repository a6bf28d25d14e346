from __future__ import annotations

import numpy as np

from gateway.console.calibration import Calibration
from gateway.console.values import VALUES_SHOWN, strip, told, values_of
from gateway.explaining.sample import Sample
from models.batch import InputSpec

LEARNED = Calibration("v", "t", {}, {}, np.empty(0), np.array([0.0, -1.0, 5.0]), np.array([1.0, 1.0, 6.0]))


def test_values_outside_the_reference_are_marked() -> None:
    row = np.array([0.5, 2.0, np.nan], dtype=np.float32)
    found = values_of(row, row * 2, {"columns": ["a", "<b>", "c"]}, LEARNED)
    assert [one.off for one in found] == ["", "outside", "missing"]
    assert (found[1].name, found[1].low, found[1].high, found[1].purified) == ("<b>", -1.0, 1.0, 4.0)


def test_without_a_contract_the_bounds_count() -> None:
    found = values_of(np.array([0.5, 2.0]), None, {"bounds": [0.0, 1.0], "columns": []}, None)
    assert [(one.name, one.high, one.off) for one in found] == [("value 0", 1.0, ""), ("value 1", 1.0, "outside")]
    assert not any(one.off for one in values_of(np.array([1e9]), None, {}, None))


def test_of_many_values_those_that_are_off_come_first() -> None:
    row = np.zeros(3 * VALUES_SHOWN)
    row[-1] = 9.0
    found = values_of(row, None, {"bounds": [0.0, 1.0]}, None)
    assert len(found) == VALUES_SHOWN
    assert found[0].name == f"value {len(row) - 1}"


def sampled() -> Calibration:
    """A reference of 0, 1, ..., 1000 in one column and of -1000 ... 0 in the other."""
    x = np.arange(1001.0)
    spec = InputSpec("table", np.dtype("float64"), (2,))
    sample = Sample.take(np.column_stack([x, -x]), None, spec, 50, seed=0)
    return Calibration("v", "t", {}, {}, np.empty(0), sample=sample)


def test_values_stand_beside_quantiles_and_the_nearest_rows() -> None:
    row = np.array([995.0, -500.0])
    first, second = values_of(row, None, {"columns": ["a", "b"]}, sampled(), [np.array([990.0, -510.0])])
    assert (first.off, second.off) == ("rare", "")
    assert first.usual == (10.0, 500.0, 990.0)
    assert (first.low, first.high) == (0.0, 1000.0)
    assert first.near == (990.0,)
    assert first.strip is not None


def test_what_is_off_is_told_in_a_sentence() -> None:
    names = ["a", "b"]
    assert told(values_of(np.array([995.0, -500.0]), None, {"columns": names}, sampled())) == (
        "Of 2 values: 1 beyond 98 % of the reference (a)."
    )
    assert told(values_of(np.array([np.nan, 7.0]), None, {"columns": names}, sampled())) == (
        "Of 2 values: 1 no number (a); 1 outside the reference's range (b)."
    )
    assert told(values_of(np.array([500.0, -500.0]), None, {}, sampled())).startswith("Every value is as")
    assert told(values_of(np.array([500.0, -500.0]), None, {}, None)) == ""
    assert told([]) == ""


def test_a_strip_shows_where_a_value_lies() -> None:
    spread = np.array([0.0, 1.0, 4.0, 5.0, 6.0, 9.0, 10.0])
    assert 'cx="60.0"' in (strip(spread, 5.0) or "")
    assert 'cx="118.0"' in (strip(spread, 90.0) or "")  # far out: the whole reference moves to the left
    assert "M2.0 8H14.9" in (strip(spread, 90.0) or "")
    assert strip(np.full(7, np.nan), 1.0) is None
    assert strip(np.full(7, 3.0), 3.0) is None
    assert strip(spread, float("inf")) is None
