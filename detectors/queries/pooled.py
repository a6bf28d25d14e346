"""A short signature of a row in which noise averages out: pooled values, with edges between cells sharpened.

Images are pooled to a grid of cells (4x4 pixels of a 28x28 image), series to stretches of time, tables keep their
standardised columns. Of cells the differences to neighboring cells count more than their level, as an attack that adds
the same value to a large square (Andriushchenko et al.: Square attack, ECCV 2020) moves the level but no edge inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from defenses.axes import channel_axis, smooth_axes
from detectors.base import Unsuitable
from models.batch import Array, Arrays, InputSpec

MOST = 100  # values of a signature: 400 bytes
_SIDE = 8  # cells along an axis of an image, at most
_CELL = 4  # values along an axis of a cell, at least
_STEPS = 32  # stretches of a series
_LEVEL, _EDGES = 0.1, 0.5  # weight of a cell's level, and of its differences to its neighbors
_FAR = np.float32(1e3)
_SMALL = 4096  # values of a row, up to which one matrix is quicker


@dataclass(frozen=True, slots=True)
class Pooled:
    """(n, *row shape) to (n, d) float32 with d <= 100.

    `mean` and `scale` are a channel's (a table's column's); `cells` how many along every smooth axis; `mixing` the
    (channels * cells, d) matrix that sharpens, and folds what would be longer than `MOST`.
    """

    spec: InputSpec
    cells: tuple[int, ...]
    mean: Array
    scale: Array
    mixing: Array
    whole: tuple[Array, Array] | None = field(init=False, repr=False)  # all of it as one matrix and offset

    def __post_init__(self) -> None:
        whole = None
        if self.spec.size <= _SMALL:
            each = _pool(np.eye(self.spec.size, dtype=np.float32).reshape(-1, *self.spec.shape), self.spec, self.cells)
            matrix = (each * self.scale[:, None]).reshape(self.spec.size, -1) @ self.mixing
            offset = np.repeat(-self.mean * self.scale, each.shape[2]) @ self.mixing
            whole = np.ascontiguousarray(matrix), offset
        object.__setattr__(self, "whole", whole)

    @staticmethod
    def of(x: Array, spec: InputSpec, seed: int = 0) -> Pooled:
        """The signature for rows like the reference rows `x`.

        Raises:
            Unsuitable: token ids are no values that could be averaged.
        """
        if spec.kind == "tokens":
            raise Unsuitable("queries: token ids can't be compared by their values")
        channels = _channels(spec)
        cells = _cells(spec, channels)
        whole = _pool(x, spec, cells)
        values = whole.astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=(0, 2)), 1)
        mean = np.where(known, values, 0.0).sum(axis=(0, 2)) / count
        spread = np.where(known, values - mean[:, None], 0.0)
        deviation = np.sqrt((spread**2).sum(axis=(0, 2)) / count)
        scale = 1.0 / np.where(deviation > 0.0, deviation, 1.0)
        mixing = _mixing(cells, channels, seed)
        return Pooled(spec, cells, mean.astype(np.float32), scale.astype(np.float32), mixing)

    def __call__(self, x: Array) -> Array:
        """Signatures of the rows; finite."""
        if self.whole is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                z = x.reshape(len(x), -1).astype(np.float32, copy=False) @ self.whole[0] + self.whole[1]
            if np.abs(z).max(initial=0.0) < _FAR:  # nearly always; nor is it where a value is no number
                return np.asarray(z)
        return self._piecewise(x)

    def _piecewise(self, x: Array) -> Array:
        values = _pool(x, self.spec, self.cells)
        with np.errstate(over="ignore", invalid="ignore"):
            z = (values - self.mean[:, None]) * self.scale[:, None]
        z[np.isnan(z)] = 0.0
        flat = np.clip(z, -_FAR, _FAR, out=z).reshape(len(x), -1)
        return np.ascontiguousarray(flat @ self.mixing)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        cells = np.array(self.cells, dtype=np.int64)
        return {"cells": cells, "mean": self.mean, "scale": self.scale, "mixing": self.mixing}

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> Pooled:
        """The signature that `to_arrays` wrote."""
        cells = tuple(int(each) for each in arrays["cells"])
        return Pooled(spec, cells, arrays["mean"], arrays["scale"], arrays["mixing"])


def _channels(spec: InputSpec) -> int:
    if not smooth_axes(spec):
        return spec.size
    axis = channel_axis(spec)
    return 1 if axis is None else spec.shape[axis - 1]


def _cells(spec: InputSpec, channels: int) -> tuple[int, ...]:
    axes = smooth_axes(spec)
    if not axes:
        return ()
    lengths = [spec.shape[axis - 1] for axis in axes]
    most = (MOST / channels) ** (1 / len(axes))
    side = max(1, min(_SIDE if len(axes) > 1 else _STEPS, int(most + 1e-9)))
    return tuple(max(1, min(side, length // _CELL)) for length in lengths)


def _pool(x: Array, spec: InputSpec, cells: tuple[int, ...]) -> Array:
    """(n, channels, cells) float32: means."""
    if not cells:
        return x.reshape(len(x), -1, 1).astype(np.float32)
    values = x.astype(np.float32)
    axes = smooth_axes(spec)
    with np.errstate(invalid="ignore", over="ignore"):  # values that are no numbers are dealt with later
        for axis, count in zip(axes, cells, strict=True):
            length = x.shape[axis]
            starts = np.arange(count) * length // count
            sizes = np.diff(np.append(starts, length)).astype(np.float32)
            shape = [1] * values.ndim
            shape[axis] = count
            values = np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
    channel = channel_axis(spec)
    if channel is not None:
        values = np.moveaxis(values, channel, 1)
        return values.reshape(len(x), values.shape[1], -1)
    return values.reshape(len(x), 1, -1)


def _mixing(cells: tuple[int, ...], channels: int, seed: int) -> Array:
    """The square root of the form `_LEVEL` times the identity plus `_EDGES` times the grid's Laplacian, a channel."""
    if not cells:
        mixing = np.eye(channels)
    else:
        laplacian = np.zeros((1, 1))
        for count in cells:
            laplacian = np.kron(laplacian, np.eye(count)) + np.kron(np.eye(len(laplacian)), _path(count))
        strength, directions = np.linalg.eigh(_LEVEL * np.eye(len(laplacian)) + _EDGES * laplacian)
        mixing = np.kron(np.eye(channels), (directions * np.sqrt(strength)) @ directions.T)
    if len(mixing) > MOST:
        folding = np.random.default_rng(seed).normal(size=(len(mixing), MOST)) / np.sqrt(MOST)
        mixing = mixing @ folding
    return np.asarray(mixing, dtype=np.float32)


def _path(count: int) -> Array:
    """The Laplacian of `count` cells in a line."""
    steps = np.diff(np.eye(count), axis=0)
    return np.asarray(steps.T @ steps)
