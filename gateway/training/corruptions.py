"""Mild wear that honest inputs come with: light, contrast, blur, a step aside, sensor noise, JPEG. No attack is in it.

After Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (ICLR 2019),
at strengths below their mildest. Rows are in unit space: the range of the input is [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
from PIL import Image

from defenses.axes import channel_axis, smooth_axes
from models.batch import Array, InputSpec

Wear = Callable[[Array, np.random.Generator, tuple[int, ...]], Array]

LIGHT, CONTRAST, BLUR, NOISE = 0.1, 0.25, 0.6, 0.025  # the most of each
QUALITIES = (85, 96)  # of JPEG, from and below


def worn(x: Array, spec: InputSpec, which: Mapping[str, Array], random: np.random.Generator) -> Array:
    """Images or series (n, *row shape) with each kind of wear, of random strength, on the rows that `which` has for it.

    The others are left as they are.
    """
    changed = x.copy()
    for kind, rows in which.items():
        if len(rows):
            changed[rows] = WEARS[kind](x[rows], random, smooth_axes(spec))
    return np.clip(changed, 0.0, 1.0)


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


def stored(x: Array, random: np.random.Generator, axes: tuple[int, ...]) -> Array:
    """Stored once as JPEG, of a quality that differs between rows; images of one or three channels."""
    found = np.empty(x.shape)
    for row, quality in enumerate(random.integers(*QUALITIES, len(x))):
        found[row] = _through_jpeg(x[row], int(quality), axes)
    return found


WEARS: dict[str, Wear] = {
    "light": light,
    "contrast": contrast,
    "blur": blur,
    "aside": aside,
    "noise": noise,
    "stored": stored,
}


def kinds(spec: InputSpec) -> tuple[str, ...]:
    """The kinds of wear that this input may come with."""
    if spec.kind not in ("image", "series"):
        return ()
    channel = channel_axis(spec)
    picture = spec.kind == "image" and (1 if channel is None else spec.shape[channel - 1]) in (1, 3)
    return tuple(kind for kind in WEARS if picture or kind != "stored")


def _through_jpeg(row: Array, quality: int, axes: tuple[int, ...]) -> Array:
    """One row in unit space, of which `axes` of the batch are height and width."""
    channel = next((axis - 1 for axis in range(1, row.ndim + 1) if axis not in axes), None)
    pixels = np.rint(255.0 * (row if channel is None else np.moveaxis(row, channel, -1))).astype(np.uint8)
    gray = pixels.ndim == 3 and pixels.shape[-1] == 1
    file = BytesIO()
    Image.fromarray(pixels[..., 0] if gray else pixels).save(file, "JPEG", quality=quality)
    loaded = np.asarray(Image.open(file), dtype=np.float64) / 255.0
    loaded = loaded[..., None] if gray else loaded
    return loaded if channel is None else np.moveaxis(loaded, -1, channel)


def _each(x: Array, values: Array) -> Array:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _moved(x: Array, step: int, axis: int) -> Array:
    """One step along an axis; the edge stays what it was."""
    index = np.clip(np.arange(x.shape[axis]) - step, 0, x.shape[axis] - 1)
    return np.asarray(np.take(x, index, axis=axis))
