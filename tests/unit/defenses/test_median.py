"""The fast windows against scipy's filter, edges and missing values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from defenses.base import Unsuitable
from defenses.median import MedianSpec
from models.batch import InputSpec, Layout


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize(("shape", "layout"), [((3, 9, 7), "NCHW"), ((9, 7, 2), "NHWC")])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_equals_scipy_on_images(size: int, shape: tuple[int, ...], layout: Layout, dtype: str) -> None:
    x = np.random.default_rng(size).integers(0, 256, (3, *shape)).astype(dtype)
    window = (1, 1, size, size) if layout == "NCHW" else (1, size, size, 1)
    pure = MedianSpec(size=size).build(InputSpec("image", np.dtype(dtype), shape, layout=layout)).apply(x)
    assert np.array_equal(pure, median_filter(x, size=window, mode="reflect"))


@pytest.mark.parametrize("size", [3, 5])
def test_equals_scipy_along_time(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 30))
    pure = MedianSpec(size=size).build(InputSpec("series", np.dtype("float64"), (2, 30))).apply(x)
    assert np.array_equal(pure, median_filter(x, size=(1, 1, size), mode="reflect"))


def test_removes_a_lone_pixel() -> None:
    x = np.zeros((1, 1, 5, 5), dtype=np.float32)
    x[0, 0, 2, 2] = 1.0
    spec = InputSpec("image", np.dtype("float32"), (1, 5, 5), layout="NCHW")
    assert not MedianSpec(size=2).build(spec).apply(x).any()


def test_missing_values_neither_spread_nor_vanish() -> None:
    x = np.array([[5.0, 1.0, np.nan, 3.0, 9.0, 4.0]])
    spec = InputSpec("series", np.dtype("float64"), (6,), missing=True)
    pure = MedianSpec(size=3).build(spec).apply(x)
    assert np.array_equal(pure, [[5.0, 1.0, np.nan, 3.0, 4.0, 4.0]], equal_nan=True)


def test_an_even_window_is_no_median_along_a_series() -> None:
    with pytest.raises(Unsuitable, match="needs an odd `size` along a series, not 2"):
        MedianSpec(size=2).build(InputSpec("series", np.dtype("float32"), (6,)))
