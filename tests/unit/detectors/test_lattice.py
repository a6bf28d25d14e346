"""Grids that are there are found, with their step; grids that only look so are not."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.lattice import categories, find
from models.batch import Array

RNG = np.random.default_rng(0)
N = 2000
PIXELS = RNG.integers(0, 256, (N, 20)).ravel()
AGE = RNG.integers(17, 91, N)
COUNT = RNG.integers(0, 4, N)
WEIGHT = RNG.integers(12_285, 1_484_705, N)
F32 = np.float32

THERE: dict[str, tuple[Array, float]] = {
    "sixteenths": ((RNG.integers(0, 17, N) / 16).astype(F32), 1 / 16),
    "sixteenths in half precision": ((RNG.integers(0, 17, N) / 16).astype(np.float16), 1 / 16),
    "pixels in [0, 1]": ((PIXELS / 255).astype(F32), 1 / 255),
    "pixels in [-1, 1]": ((PIXELS / 127.5 - 1).astype(F32), 1 / 127.5),
    "standardised pixels": ((PIXELS.astype(F32) / F32(255) - F32(0.485)) / F32(0.229), 1 / 255 / 0.229),
    "standardised pixels, doubles": ((PIXELS / 255 - 0.485) / 0.229, 1 / 255 / 0.229),
    "mostly black pixels": (np.where(RNG.random(len(PIXELS)) < 0.8, 0, PIXELS / 255).astype(F32), 1 / 255),
    "integers": (AGE.astype(F32), 1.0),
    "standardised integers": (((AGE - AGE.mean()) / AGE.std()).astype(F32), 1 / AGE.std()),
    "integers in [0, 1]": (((AGE - 17) / 73).astype(F32), 1 / 73),
    "large integers": (WEIGHT.astype(F32), 1.0),
    "large integers, standardised": ((WEIGHT - WEIGHT.mean()) / WEIGHT.std(), 1 / WEIGHT.std()),
    "time stamps": (RNG.integers(1_600_000_000, 1_700_000_000, N).astype(float), 1.0),
    "few counts, standardised": (((COUNT - COUNT.mean()) / COUNT.std()).astype(F32), 1 / COUNT.std()),
    "yes and no": (RNG.integers(0, 2, N).astype(F32), 1.0),
    "cents": (np.round(RNG.normal(3, 1, N), 2), 0.01),
    "quarters": (RNG.integers(-40, 90, N).astype(F32) * F32(0.25), 0.25),
    "tenths": (np.round(RNG.normal(36.6, 1, N), 1).astype(F32), 0.1),
    "thousandths": (np.round(RNG.normal(size=N), 3).astype(F32), 0.001),
    "millionths": (np.round(RNG.random(N), 6), 1e-6),
    "even numbers": (2.0 * RNG.integers(0, 40, N), 2.0),
    "few even numbers, by chance perhaps": (2.0 * RNG.integers(0, 3, N), 1.0),
    "pixels of four bits": (RNG.integers(0, 16, N).astype(np.uint8) * np.uint8(17), 17.0),
    "integers, some missing": (np.where(RNG.random(N) < 0.1, np.nan, AGE).astype(F32), 1.0),
}
NOT_THERE: dict[str, Array] = {
    "normal": RNG.normal(size=N).astype(F32),
    "normal, doubles": RNG.normal(size=N),
    "normal, half precision": RNG.normal(size=N).astype(np.float16),
    "uniform at the type's own resolution": RNG.random(N, dtype=F32),
    "integers in too few rows": RNG.integers(0, 9, 100).astype(F32),
    "integers but for one row": np.append(RNG.integers(0, 50, N), 3.37).astype(F32),
    "mostly zero, else a float": np.where(RNG.random(N) < 0.99, 0, RNG.random(N)).astype(F32),
    "mostly zero, and three integers": np.append(np.zeros(N), [1, 2, 3]).astype(F32),
    "imputed by the mean": np.where(RNG.random(N) < 0.05, 38.5816, AGE).astype(F32),
    "logarithms of counts": np.log1p(RNG.poisson(2, N)).astype(F32),
    "four significant digits": np.array([float(f"{v:.3e}") for v in RNG.lognormal(-3, 1, N)]),
    "whole by the type": np.rint(RNG.uniform(1e8, 2e8, N)).astype(F32),
    "an integer type's own step": RNG.integers(0, 256, N).astype(np.uint8),
    "constant": np.full(N, 0.5, dtype=F32),
    "standardised beyond the type": ((WEIGHT - WEIGHT.mean()) / WEIGHT.std()).astype(F32),
}


@pytest.mark.parametrize("name", THERE)
def test_found(name: str) -> None:
    values, step = THERE[name]
    found = find(values, values.dtype)
    assert found is not None
    assert found.step == pytest.approx(step, rel=1e-5)
    t = (values[np.isfinite(values)].astype(float) - found.origin) / found.step
    assert np.abs(t - np.rint(t)).max() < 0.5 * found.tolerance


@pytest.mark.parametrize("name", NOT_THERE)
def test_not_claimed(name: str) -> None:
    assert find(NOT_THERE[name], NOT_THERE[name].dtype) is None


def test_a_plain_grid_is_told_plainly() -> None:
    found = find(*((v := THERE["pixels in [0, 1]"][0]), v.dtype))
    assert found is not None
    assert found.origin == 0.0
    assert found.step == 1 / 255


def test_categories_come_back_often() -> None:
    values = RNG.choice(np.log([2.0, 3.0, 5.0]), N)
    found = categories(values)
    assert found is not None
    assert np.allclose(found, np.log([2.0, 3.0, 5.0]))
    assert categories(np.append(values, 0.123)) is None  # one was seen but once: more will come
    assert categories(values[:100]) is None
    assert categories(RNG.normal(size=N)) is None
