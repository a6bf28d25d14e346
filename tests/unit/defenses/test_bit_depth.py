"""Levels between the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.base import Unsuitable
from defenses.bit_depth import BitDepthSpec
from models.batch import Bounds, InputSpec

UNIT = InputSpec("table", np.dtype("float32"), (5,), Bounds(0.0, 1.0))


def test_one_bit_leaves_the_two_bounds() -> None:
    x = np.array([[0.0, 0.4, 0.51, 0.9, 1.0]], dtype=np.float32)
    assert BitDepthSpec(bits=1).build(UNIT).apply(x).tolist() == [[0.0, 0.0, 1.0, 1.0, 1.0]]


def test_levels_span_any_bounds() -> None:
    spec = InputSpec("table", np.dtype("float64"), (4,), Bounds(-2.0, 4.0))
    pure = BitDepthSpec(bits=2).build(spec).apply(np.array([[-2.0, -0.9, 1.1, 3.9]]))
    assert pure.tolist() == [[-2.0, 0.0, 2.0, 4.0]]


def test_integers_stay_integers() -> None:
    spec = InputSpec("image", np.dtype("uint8"), (1, 1, 4), Bounds(0, 255), "NCHW")
    pure = BitDepthSpec(bits=1).build(spec).apply(np.array([[[[3, 100, 130, 255]]]], dtype=np.uint8))
    assert pure.dtype == np.uint8
    assert pure.ravel().tolist() == [0, 0, 255, 255]


def test_eight_bits_change_no_eight_bit_image() -> None:
    x = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(1, 256)
    spec = InputSpec("table", np.dtype("float32"), (256,), Bounds(0.0, 1.0))
    assert np.abs(BitDepthSpec(bits=8).build(spec).apply(x) - x).max() < 1e-7


def test_missing_values_stay() -> None:
    x = np.array([[0.1, np.nan, 0.2, 0.3, 0.4]], dtype=np.float32)
    assert np.isnan(BitDepthSpec().build(UNIT).apply(x)).tolist() == [[False, True, False, False, False]]


def test_needs_bounds() -> None:
    with pytest.raises(Unsuitable, match=r"bit_depth needs to know the range of the input: state `input.bounds`"):
        BitDepthSpec().build(InputSpec("image", np.dtype("float32"), (1, 2, 2), layout="NCHW"))


def test_the_name_tells_results_apart() -> None:
    assert BitDepthSpec(bits=3).build(UNIT).name == "bit_depth-3"
