"""Replaces every value by the median of its neighborhood, each channel by itself.

Xu, Evans, Qi: Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (NDSS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec, Unsuitable
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class Median:
    """Of an even number of values the upper median: the result is always a value that was there.

    Edges are mirrored, the outermost value included (b a | a b c). A window of even size reaches one further to the
    left and up. Where `missing`, a NaN neighbor counts as the value itself, and a NaN value stays NaN.
    """

    name: str
    size: int
    axes: tuple[int, ...]
    values: int  # in a row
    mirror: Array  # (padded row shape) for each value of the padded row, where in the row it comes from
    missing: bool = False

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        padded = x.reshape(len(x), self.values).take(self.mirror.ravel(), axis=1).reshape(len(x), *self.mirror.shape)
        if self.missing:
            return self._with_missing(x, padded)
        if len(self.axes) == 2 and self.size == 2:
            return _median_2x2(padded, *self.axes)
        if len(self.axes) == 2 and self.size == 3:
            return _median_3x3(padded, *self.axes)
        return _middle(np.stack(self._windows(padded)))

    def _windows(self, padded: Array) -> list[Array]:
        offsets = product(range(self.size), repeat=len(self.axes))
        return [_shift(padded, dict(zip(self.axes, offset, strict=True)), self.size) for offset in offsets]

    def _with_missing(self, x: Array, padded: Array) -> Array:
        windows = np.stack(self._windows(padded))
        windows = np.where(np.isnan(windows), x, windows)
        return np.where(np.isnan(x), x, _middle(windows))


def _middle(windows: Array) -> Array:
    half = len(windows) // 2
    return np.asarray(np.partition(windows, half, axis=0)[half])


def _shift(padded: Array, offsets: dict[int, int], size: int) -> Array:
    index = [slice(None)] * padded.ndim
    for axis, offset in offsets.items():
        index[axis] = slice(offset, padded.shape[axis] - size + 1 + offset)
    return padded[tuple(index)]


def _median_2x2(padded: Array, rows: int, columns: int) -> Array:
    """Vertical pairs are sorted once; the second largest of two sorted pairs is max(min(highs), max(lows))."""
    top, bottom = (_shift(padded, {rows: i}, 2) for i in range(2))
    low, high = np.minimum(top, bottom), np.maximum(top, bottom)
    lows = np.maximum(_shift(low, {columns: 0}, 2), _shift(low, {columns: 1}, 2))
    highs = np.minimum(_shift(high, {columns: 0}, 2), _shift(high, {columns: 1}, 2))
    return np.maximum(lows, highs, out=lows)


def _median_3x3(padded: Array, rows: int, columns: int) -> Array:
    """Columns of three are sorted once; the median of nine is that of (largest low, middle middle, smallest high)."""
    a, b, c = (_shift(padded, {rows: i}, 3) for i in range(3))
    small, large = np.minimum(a, b), np.maximum(a, b)
    low, rest = np.minimum(small, c), np.maximum(small, c)
    middle, high = np.minimum(large, rest), np.maximum(large, rest)
    lows, middles, highs = ([_shift(part, {columns: i}, 3) for i in range(3)] for part in (low, middle, high))
    return _of_three(
        np.maximum(np.maximum(lows[0], lows[1]), lows[2]),
        _of_three(*middles),
        np.minimum(np.minimum(highs[0], highs[1]), highs[2]),
    )


def _of_three(a: Array, b: Array, c: Array) -> Array:
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


class MedianSpec(PurifierSpec):
    """`size` is the side of the window; along a series it must be odd (the upper median of two is a maximum)."""

    kind: Literal["median"] = "median"
    size: Annotated[int, Field(ge=2, le=15)] = 2
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for tables and token ids, and for an even size along a series."""
        self.refuse_unsuitable(spec)
        if spec.kind == "series" and self.size % 2 == 0:
            raise Unsuitable(f"median needs an odd `size` along a series, not {self.size}")
        axes, before = smooth_axes(spec), self.size // 2
        width = [(before, self.size - 1 - before) if 1 + i in axes else (0, 0) for i in range(len(spec.shape))]
        mirror = np.pad(np.arange(spec.size).reshape(spec.shape), width, mode="symmetric")
        return Median(f"median-{self.size}", self.size, axes, spec.size, mirror, spec.missing)
