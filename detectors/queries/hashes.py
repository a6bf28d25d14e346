"""Hashes of windows of quantised values in a secret order: nearly equal rows share most of them.

Li, Shan, Wenger, Zhang, Zheng, Zhao: Blacklight: Scalable Defense for Neural Networks against Query-Based Black-Box
Attacks (USENIX Security 2022). Their windows slide over pixels in their natural order, where the plain margins of two
unlike images give equal windows; here a permutation drawn from the deployment's secret comes first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays, InputSpec

KEPT = 50  # hashes of a row
_WINDOW = 20
_STEP = 50 / 255  # of the range of values
_COLUMN_STEP = 0.25  # of a column's spread


@dataclass(frozen=True, slots=True)
class Quantiser:
    """What comes before the secret: (value - `low`) * `scale`, rounded down. One entry, or one a table's column."""

    low: Array
    scale: Array

    @staticmethod
    def of(x: Array, spec: InputSpec) -> Quantiser:
        """Steps of 50/255 of the range of values; in tables a quarter of each column's spread."""
        rows = x.reshape(len(x), -1).astype(np.float64)
        rows[~np.isfinite(rows)] = np.nan
        if spec.kind == "table":
            low = np.nan_to_num(np.nanmin(np.where(np.isnan(rows), np.inf, rows), axis=0), posinf=0.0)
            spread = np.sqrt(np.nan_to_num(np.nanmean((rows - _mean(rows)) ** 2, axis=0))) * _COLUMN_STEP
        else:
            known = rows[np.isfinite(rows)]
            ends = spec.bounds or ((known.min(), known.max()) if known.size else (0.0, 1.0))
            low, spread = np.array([ends[0]]), np.array([(ends[1] - ends[0]) * _STEP])
        return Quantiser(low.astype(np.float32), (1.0 / np.where(spread > 0.0, spread, 1.0)).astype(np.float32))

    def __call__(self, x: Array) -> Array:
        """(n, size) uint64, small numbers from 1 on."""
        with np.errstate(over="ignore", invalid="ignore"):
            steps = (x.reshape(len(x), -1).astype(np.float32) - self.low) * self.scale
        np.clip(steps, -1000.0, 64000.0, out=steps)
        steps += 1001.0
        if np.isnan(steps.sum()):
            steps[np.isnan(steps)] = 1.0
        return np.asarray(steps, dtype=np.uint64)  # rounds down: all are at least 1

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"low": self.low, "step": self.scale}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Quantiser:
        """The one that `to_arrays` wrote."""
        return Quantiser(arrays["low"], arrays["step"])


@dataclass(frozen=True, slots=True)
class Hashes:
    """(n, *row shape) to (n, kept) uint64: the largest hashes of all windows, in no order."""

    quantiser: Quantiser
    order: Array
    powers: Array
    window: int

    @staticmethod
    def of(quantiser: Quantiser, size: int, secret: bytes) -> Hashes:
        """Hashes of rows of `size` values that can't be told without the secret."""
        seed = int.from_bytes(hashlib.sha256(b"watchgate queries" + secret).digest(), "little")
        rng = np.random.default_rng(seed)
        order = rng.permutation(size)
        powers = rng.integers(0, 2**64, size=size, dtype=np.uint64) | np.uint64(1)
        return Hashes(quantiser, order, powers, max(1, min(_WINDOW, size // 3)))

    @property
    def kept(self) -> int:
        """Hashes of a row."""
        return min(KEPT, len(self.order) - self.window + 1)

    def __call__(self, x: Array) -> Array:
        """The rows' hashes. A window's is a keyed sum of its values (mod 2^64), mixed; the same windows of other rows
        alone give the same, at the same place.
        """
        sums = np.cumsum(self.quantiser(x)[:, self.order] * self.powers, axis=1)
        windows = sums[:, self.window - 1 :].copy()
        np.subtract(windows[:, 1:], sums[:, : -self.window], out=windows[:, 1:])
        mixed = _mix(windows)
        if mixed.shape[1] <= self.kept:
            return mixed
        return np.partition(mixed, mixed.shape[1] - self.kept, axis=1)[:, -self.kept :]


def _mix(h: Array) -> Array:
    """Spreads every bit over all others (the finalizer of splitmix64; Steele, Lea, Flood: OOPSLA 2014)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(h ^ (h >> np.uint64(31)))


def _mean(rows: Array) -> Array:
    known = np.isfinite(rows)
    return np.asarray(np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
