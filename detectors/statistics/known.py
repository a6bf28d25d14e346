"""Values that a column takes again and again: one that the reference never has is odd.

How odd is what the missing mass says, the chance of a value not seen before: the share of values seen once (Good 1953).
One that lies farther from all known values than those seen once lie from the others is odder, by the logarithm of how
many times as far: new values turn up where others are dense.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

_MOST = 500  # distinct values of a column that are kept
_SLACK = 0.01  # of the smallest gap between values: how clients may round and print, as `detectors.lattice` has it
_LARGEST = 0.05  # chance of a new value; columns with more are left out


@dataclass(frozen=True, slots=True)
class Known:
    """`columns` (m,) have known `values` (m, k), ascending, padded with the last.

    What is farther than `slack` (m,) from each of them is as odd as `odd` (m,) says, and more beyond `usual` (m,).
    """

    columns: Array
    values: Array
    slack: Array
    odd: Array
    usual: Array

    @staticmethod
    def fit(x: Array) -> Known:
        """Of reference rows (n, d), NaN where missing."""
        columns, kept, odd, usual = [], [], [], []
        for column in range(x.shape[1]):
            values, counts = np.unique(x[np.isfinite(x[:, column]), column], return_counts=True)
            new = (np.count_nonzero(counts == 1) + 1) / (len(x) + 1)
            if 1 < len(values) <= _MOST and new <= _LARGEST:
                columns.append(column)
                kept.append(values)
                odd.append(-np.log(new))
                usual.append(_usual_gap(values, counts))
        longest = max(map(len, kept), default=0)
        padded = [np.pad(values, (0, longest - len(values)), mode="edge") for values in kept]
        values = np.array(padded, dtype=x.dtype).reshape(len(columns), longest)
        slack = np.array([_SLACK * np.diff(distinct).min() for distinct in kept], dtype=x.dtype)
        return Known(
            np.array(columns, dtype=np.int64),
            values,
            slack,
            np.array(odd, dtype=np.float32),
            np.array(usual, dtype=x.dtype),
        )

    def __call__(self, x: Array) -> Array:
        """(n, m) float32: 0 for a known or missing value."""
        given = x[:, self.columns]
        if not given.size:
            return np.zeros(given.shape, dtype=np.float32)
        gap = np.abs(given[:, :, None] - self.values).min(axis=2)  # NaN where missing: that is not new
        farther = np.log(np.maximum(gap / self.usual, 1.0))
        return np.asarray((np.nan_to_num(gap) > self.slack) * (self.odd + np.nan_to_num(farther)), dtype=np.float32)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {f"known_{name}": getattr(self, name) for name in _NAMES}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Known:
        """The one that `to_arrays` wrote."""
        return Known(*(arrays[f"known_{name}"] for name in _NAMES))


_NAMES = ("columns", "values", "slack", "odd", "usual")


def _usual_gap(values: Array, counts: Array) -> float:
    """From a value to its nearest neighbor, of ascending ones: the median over those seen once, or over all."""
    gaps = np.diff(values.astype(np.float64))
    nearest = np.minimum(np.append(np.inf, gaps), np.append(gaps, np.inf))
    once = nearest[counts == 1]
    return float(np.median(once if len(once) else nearest))
