"""Types, ranges and missing values on the way through a purifier."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.base import Unsuitable
from defenses.values import Values, filled, learned_range
from models.batch import NO_ARRAYS, Bounds, InputSpec


def test_integers_come_back_rounded_and_inside_the_type() -> None:
    spec = InputSpec("series", np.dtype("int8"), (3,), None)
    x = np.zeros((1, 3), dtype=np.int8)
    assert Values.plain(spec).leave(np.array([[-200.0, 1.6, 200.0]]), x).tolist() == [[-128, 2, 127]]


def test_bounds_are_the_unit() -> None:
    spec = InputSpec("image", np.dtype("uint8"), (1, 1, 3), Bounds(0, 255), "NCHW")
    x = np.array([[[[0, 51, 255]]]], dtype=np.uint8)
    values = Values.scaled(spec, NO_ARRAYS, "it")
    assert np.allclose(values.enter(x), [[[[0.0, 0.2, 1.0]]]])
    assert np.array_equal(values.leave(values.enter(x), x), x)


def test_without_bounds_the_reference_tells_the_range() -> None:
    spec = InputSpec("series", np.dtype("float32"), (3,), None, missing=True)
    x = np.array([[1.0, np.nan, 5.0]], dtype=np.float32)
    learned = learned_range(x, spec)
    assert np.allclose(Values.scaled(spec, learned, "it").enter(x), [[0.0, 0.0, 1.0]])
    with pytest.raises(Unsuitable, match=r"it needs to know the range of the input: state `input\.bounds`"):
        Values.scaled(spec, NO_ARRAYS, "it")


def test_a_constant_reference_has_a_range_too() -> None:
    spec = InputSpec("series", np.dtype("float32"), (3,), None)
    assert learned_range(np.full((2, 3), 4.0), spec)["range"].tolist() == [4.0, 5.0]


def test_missing_values_take_the_one_before_or_the_first_known() -> None:
    nan = np.nan
    x = np.array([[nan, 1.0, nan, nan, 2.0], [nan] * 5])
    assert filled(x, 1).tolist() == [[1.0, 1.0, 1.0, 1.0, 2.0], [0.0] * 5]
    assert filled(x.T.copy(), 0).T.tolist() == filled(x, 1).tolist()
