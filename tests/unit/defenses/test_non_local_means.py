"""Means over places that look alike."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from pydantic import ValidationError

from defenses.non_local_means import NonLocalMeansSpec
from models.batch import Array, Bounds, InputSpec


def slowly(x: Array, patch: int, search: int, strength: float) -> Array:
    """The definition, pixel by pixel, of one image (channels, height, width)."""
    p, s = patch // 2, search // 2
    padded = np.pad(x, ((0, 0), (p + s,) * 2, (p + s,) * 2), mode="symmetric")
    around = {
        (i, j): padded[:, i + s : i + s + patch, j + s : j + s + patch]
        for i, j in product(range(-s, x.shape[1] + s), range(-s, x.shape[2] + s))
    }
    pure = np.empty_like(x)
    for i, j in product(range(x.shape[1]), range(x.shape[2])):
        places = [(i + a, j + b) for a, b in product(range(-s, s + 1), repeat=2)]
        weights = [np.exp(-((around[i, j] - around[place]) ** 2).mean() / strength**2) for place in places]
        values = [around[place][:, p, p] for place in places]
        pure[:, i, j] = np.average(values, axis=0, weights=weights)
    return pure


def test_is_the_definition() -> None:
    x = np.random.default_rng(0).random((2, 3, 6, 5))
    spec = InputSpec("image", np.dtype("float64"), (3, 6, 5), Bounds(0, 1), "NCHW")
    pure = NonLocalMeansSpec(patch=3, search=5, strength=0.3).build(spec).apply(x)
    for row, expected in zip(pure, (slowly(image, 3, 5, 0.3) for image in x), strict=True):
        assert np.allclose(row, expected)


def test_strength_is_in_units_of_the_range() -> None:
    x = np.random.default_rng(0).random((1, 6, 5))
    unit = InputSpec("image", np.dtype("float64"), (6, 5), Bounds(0, 1), None)
    bytes_ = InputSpec("image", np.dtype("float64"), (6, 5), Bounds(0, 255), None)
    a, b = (NonLocalMeansSpec().build(spec).apply(x * scale) / scale for spec, scale in ((unit, 1.0), (bytes_, 255.0)))
    assert np.allclose(a, b)


def test_windows_have_a_middle() -> None:
    with pytest.raises(ValidationError, match="expected an odd number, found 4"):
        NonLocalMeansSpec(patch=4)
