"""Mild wear that honest inputs come with: light, contrast, blur, a step aside, sensor noise. None of it is an attack.

After Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (ICLR 2019),
at strengths below their mildest. Rows are in unit space: the range of the input is [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from defenses.axes import smooth_axes
from models.batch import Array, InputSpec

Wear = Callable[[Array, np.random.Generator, tuple[int, ...]], Array]

LIGHT, CONTRAST, BLUR, NOISE = 0.1, 0.25, 0.6, 0.02  # the most of each


def corrupted(x: Array, spec: InputSpec, seed: int) -> Array:
    """One wear of random strength for each row (n, *row shape) of an image or a series; others are left as they are."""
    if spec.kind not in ("image", "series"):
        return x
    random = np.random.default_rng(seed)
    which = random.integers(0, len(WEARS), len(x))
    worn = x.copy()
    for index, wear in enumerate(WEARS.values()):
        rows = which == index
        if rows.any():
            worn[rows] = wear(x[rows], random, smooth_axes(spec))
    return np.clip(worn, 0.0, 1.0)


def light(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """All values a little up or down."""
    return np.asarray(x + _each(x, random.uniform(-LIGHT, LIGHT, len(x))))


def contrast(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """All values nearer to the row's mean, or farther from it."""
    mean = x.mean(axis=tuple(range(1, x.ndim)), keepdims=True)
    return np.asarray(mean + (x - mean) * _each(x, random.uniform(1.0 - CONTRAST, 1.0 + CONTRAST, len(x))))


def blur(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """Part of each value given to its neighbors in space or time."""
    mean = x
    for axis in axes:
        mean = (_moved(mean, 1, axis) + mean + _moved(mean, -1, axis)) / 3.0
    share = _each(x, random.uniform(0.0, BLUR, len(x)))
    return np.asarray((1.0 - share) * x + share * mean)


def aside(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """One step along one axis."""
    worn = x.copy()
    axis, way = random.choice(np.array(axes), len(x)), random.choice(np.array([-1, 1]), len(x))
    for a in axes:
        for step in (-1, 1):
            rows = (axis == a) & (way == step)
            worn[rows] = _moved(x[rows], step, a)
    return worn


def noise(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """Gaussian, of a standard deviation that differs between rows."""
    return np.asarray(x + _each(x, random.uniform(0.0, NOISE, len(x))) * random.normal(size=x.shape))


WEARS: dict[str, Wear] = {"light": light, "contrast": contrast, "blur": blur, "aside": aside, "noise": noise}


def _each(x: Array, values: Array) -> Array:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _moved(x: Array, step: int, axis: int) -> Array:
    """One step along an axis; the edge stays what it was."""
    index = np.clip(np.arange(x.shape[axis]) - step, 0, x.shape[axis] - 1)
    return np.asarray(np.take(x, index, axis=axis))
