"""A robust Gaussian over statistics that fall into several looks: one distance a look.

The covariance is shrunk as Ledoit and Wolf (2004) do. Center and scale are medians and quartiles, and no statistic
counts for more than `FAR` standard units: an honest row with one strange figure is then not the strangest of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.shrinkage import whitening
from models.batch import Array, Arrays

FAR = 12.0
_STILL = 1e-6  # a statistic that moves less says nothing
_NORMAL_QUARTILES = 1.349


@dataclass(frozen=True, slots=True)
class Gaussian:
    """`center`, `per_scale` (k,), 0 where a statistic is still; `weights` (k, k), a block a look; `starts` of looks."""

    center: Array
    per_scale: Array
    weights: Array
    starts: Array

    NAMES: ClassVar[tuple[str, ...]] = ("center", "per_scale", "weights", "starts")

    @staticmethod
    def fit(statistics: Array, sizes: Sequence[int]) -> Gaussian:
        """Of (n, k) statistics, of which the first `sizes[0]` are the first look, and so on."""
        center, scale = _center_and_scale(statistics.astype(np.float64))
        per_scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > _STILL)
        z = np.clip((statistics - center) * per_scale, -FAR, FAR)
        starts = np.cumsum([0, *sizes[:-1]])
        weights = np.zeros((len(scale), len(scale)))
        for start, size in zip(starts, sizes, strict=True):
            moving = start + np.flatnonzero(per_scale[start : start + size])
            if len(moving):
                weights[np.ix_(moving, moving)] = whitening(z[:, moving])
        single = np.float32
        return Gaussian(center.astype(single), per_scale.astype(single), weights.astype(single), starts)

    def standard(self, statistics: Array) -> Array:
        """(n, k) float32 in standard units, at most `FAR`; what is no number is as far out as can be."""
        z = statistics - self.center
        z *= self.per_scale
        flat = z.ravel()
        if not flat.dot(flat) < FAR * FAR:  # else none is farther out, nor NaN
            np.nan_to_num(z, copy=False, nan=FAR, posinf=FAR, neginf=-FAR)
            np.clip(z, -FAR, FAR, out=z)
        return np.asarray(z)

    def distances(self, statistics: Array) -> Array:
        """(n, looks) float32, Mahalanobis distances."""
        y = self.standard(statistics).dot(self.weights)
        np.multiply(y, y, out=y)
        squares = np.add.reduceat(y, self.starts, axis=1)
        return np.asarray(np.sqrt(squares, out=squares))

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {name: np.asarray(getattr(self, name)) for name in self.NAMES}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Gaussian:
        """The one that `to_arrays` wrote."""
        return Gaussian(*(arrays[name] for name in Gaussian.NAMES))


def _center_and_scale(statistics: Array) -> tuple[Array, Array]:
    least, low, center, high, most = np.quantile(statistics, [0.02, 0.25, 0.5, 0.75, 0.98], axis=0)
    spread, middle = np.clip(statistics, least, most).std(axis=0), (high - low) / _NORMAL_QUARTILES
    scale = np.where(middle > 0.3 * spread, middle, spread)  # else it is mostly the same, and quartiles say nothing
    return center, np.where(scale > _STILL, scale, statistics.std(axis=0))
