"""Principal components of the penultimate features, the same to the last bit whatever rows share the batch.

A matrix product rounds differently for one row and for many, and a value on a bin's edge would be counted differently
by two replicas. So features and directions are rounded to whole numbers, small enough that every sum of products is
exact in float64 in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

COMPONENTS = 16
_FIT_ROWS = 4000
_FINE, _FAR = 2.0**10, 2.0**17  # a feature's unit is 2^-10 of their spread; none lies farther out than 2^17 units
_TURN = 2.0**12  # a direction's unit


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """`mean` (d,), `unit` () float64, `directions` (d, k) float64 holding whole numbers."""

    mean: Array
    unit: Array
    directions: Array

    @staticmethod
    def fit(features: Array, components: int = COMPONENTS) -> Projection:
        """The directions in which these (n, d) features vary most (Pearson 1901)."""
        rows = features[:_FIT_ROWS].reshape(min(len(features), _FIT_ROWS), -1).astype(np.float64)
        rows = rows[np.isfinite(rows).all(axis=1)]
        if len(rows) < 2:
            raise ValueError("fewer than two rows of features that are numbers")
        mean = rows.mean(axis=0)
        spread = float(np.sqrt(((rows - mean) ** 2).mean()))
        found = np.linalg.svd(rows - mean, full_matrices=False)[2][:components].T
        signs = np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])
        return Projection(mean, np.array((spread or 1.0) / _FINE), np.rint(found * signs * _TURN))

    def __call__(self, features: Array) -> list[Array]:
        """Every component, then the distance to what they span; (n,) float64 each, NaN for rows with one missing."""
        whole = np.rint(np.divide(features.reshape(len(features), -1) - self.mean, self.unit))
        np.clip(whole, -_FAR, _FAR, out=whole)
        along = whole @ self.directions
        along /= _TURN
        left = np.einsum("ij,ij->i", whole, whole)
        for column in along.T:  # not a sum over an axis, whose order is numpy's choice
            left -= column * column
        values = [*along.T, np.sqrt(np.maximum(left, 0.0))]
        return [np.ascontiguousarray(column) * float(self.unit) for column in values]

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"mean": self.mean, "unit": self.unit, "directions": self.directions}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Projection:
        """The projection that `to_arrays` wrote."""
        return Projection(arrays["mean"], arrays["unit"], arrays["directions"])
