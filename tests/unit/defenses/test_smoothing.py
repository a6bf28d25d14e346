"""Linear smoothers: Gaussian, low pass, resample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from defenses.base import PurifierSpec, Unsuitable
from defenses.gaussian import GaussianSpec
from defenses.low_pass import LowPassSpec
from defenses.resample import ResampleSpec
from models.batch import InputSpec

IMAGE = InputSpec("image", np.dtype("float64"), (3, 12, 11), None, "NCHW")
SERIES = InputSpec("series", np.dtype("float64"), (2, 120), None)


def test_gaussian_is_what_scipy_gives() -> None:
    x = np.random.default_rng(0).random((4, 3, 12, 11))
    expected = gaussian_filter(x, 1.0, axes=(2, 3), truncate=3.0)
    assert np.allclose(GaussianSpec(sigma=1.0).build(IMAGE).apply(x), expected)


@pytest.mark.parametrize("spec", [GaussianSpec(), LowPassSpec(keep=0.2), ResampleSpec(factor=7)])
def test_a_level_stays(spec: PurifierSpec) -> None:
    x = np.full((2, 2, 120), 3.5)
    assert np.allclose(spec.build(SERIES).apply(x), 3.5)


@pytest.mark.parametrize("spec", [LowPassSpec(keep=0.2), ResampleSpec(factor=4)])
def test_slow_stays_and_fast_goes(spec: PurifierSpec) -> None:
    t = np.arange(120)
    slow, fast = np.sin(2 * np.pi * t / 60), 0.5 * np.sin(2 * np.pi * t / 3)
    x = np.stack([slow, fast])[None]
    pure = spec.build(SERIES).apply(x)[0, :, 15:-15]
    assert np.abs(pure[0] - slow[15:-15]).max() < 0.1
    assert np.abs(pure[1]).max() < 0.1


def test_a_straight_line_survives_resampling_but_for_its_ends() -> None:
    x = np.tile(np.arange(120.0), (1, 2, 1))
    pure = ResampleSpec(factor=5).build(SERIES).apply(x)
    assert np.allclose(pure[..., 2:-2], x[..., 2:-2])


def test_the_last_average_is_over_what_is_left() -> None:
    spec = InputSpec("series", np.dtype("float64"), (7,), None)
    pure = ResampleSpec(factor=3).build(spec).apply(np.array([[0.0, 0, 0, 3, 3, 3, 9]]))
    assert np.allclose(pure, [[0, 0, 1, 2, 3, 5, 7]]) or pure[0, -1] == 9.0
    assert pure[0, 1] == 0.0
    assert pure[0, 4] == 3.0


def test_a_missing_value_leaves_its_neighbors_alone() -> None:
    spec = InputSpec("series", np.dtype("float32"), (9,), None, missing=True)
    x = np.full((1, 9), 2.0, dtype=np.float32)
    x[0, 3] = np.nan
    assert np.allclose(GaussianSpec().build(spec).apply(x), x, equal_nan=True)


def test_a_series_shorter_than_two_averages_is_refused() -> None:
    with pytest.raises(Unsuitable, match="this series has 5"):
        ResampleSpec(factor=5).build(InputSpec("series", np.dtype("float32"), (5,), None))
