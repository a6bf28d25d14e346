"""Bins at the reference's quantiles, one set a series; a value that many rows share is a bin of its own.

Counting is comparison only, so a row falls into the same cells whatever rows come with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from detectors.drift.cells import ABOVE, BELOW, BINS, INNER, MISSING, RARE
from models.batch import Array, Arrays

# Bins with a smaller share of the reference are counted together as rare: there, one row may look like drift.
_LEAST_SHARE = 1.0 / 64.0
_EDGES = 2 * BINS
_FEW = 1500  # values, up to which comparing all with all edges at once is the quicker way


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """`edges` (series, 32) float64 ascending, padded with infinity: a value lies behind those it is greater than.

    `cells` (series, 33) int64: the cell of a value behind so many edges.
    """

    edges: Array
    cells: Array

    @staticmethod
    def fit(series: Sequence[Array]) -> Bins:
        """Bins of these reference values, (n,) each; NaN is a missing value."""
        found = [_fit(np.asarray(values, dtype=np.float64)) for values in series]
        return Bins(np.stack([edges for edges, _ in found]), np.stack([cells for _, cells in found]))

    def __call__(self, series: Sequence[Array]) -> Array:
        """(n, series) int64: the cell of every value."""
        values = np.stack(series, axis=1).astype(np.float64, copy=False)
        if values.size <= _FEW:
            behind = (values[:, :, None] > self.edges).sum(axis=2)
        else:
            behind = np.stack([edges.searchsorted(column) for edges, column in zip(self.edges, series, strict=True)], 1)
        counted: Array = self.cells[np.arange(len(self.cells)), behind]
        counted[np.isnan(values)] = MISSING
        return counted

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"edges": self.edges, "cells": self.cells}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Bins:
        """The bins that `to_arrays` wrote."""
        return Bins(arrays["edges"], arrays["cells"])


def _fit(values: Array) -> tuple[Array, Array]:
    known = np.sort(values[np.isfinite(values)])
    edges = np.full(_EDGES, np.inf)
    cells = np.full(_EDGES + 1, ABOVE, dtype=np.int64)
    if not len(known):
        cells[:] = RARE
        return edges, cells
    found = _edges(known)
    edges[: len(found)] = found
    behind = np.bincount(np.searchsorted(found, known, side="left"), minlength=len(found) + 1)
    large = np.flatnonzero(behind[: len(found)] >= _LEAST_SHARE * len(known))
    cells[: len(found)] = RARE
    cells[large] = 1 + np.arange(len(large))
    cells[0] = BELOW
    return edges, cells


def _edges(known: Array) -> Array:
    """Edges of at most `BINS` bins over sorted values; the first lies just under the least, the last is the largest."""
    distinct = np.unique(known)
    if len(distinct) <= BINS:
        shared, points = distinct, distinct
    else:
        points = known[np.minimum(np.arange(BINS + 1) * len(known) // BINS, len(known) - 1)]
        points, times = np.unique(points, return_counts=True)
        shared = points[times > 1]
    under = np.nextafter(np.append(shared, known[0]), -np.inf)
    edges: Array = np.unique(np.concatenate([points[points > known[0]], shared, under]))
    return edges


def normal_scores(counts: Array) -> Array:
    """(series, cells) float64: for every bin the normal quantile of its middle rank among the `counts`.

    Van der Waerden (1952). Values below or above the reference score as its outermost bins, others 0.
    """
    inner = counts[:, INNER].astype(np.float64)
    total = np.maximum(inner.sum(axis=1, keepdims=True), 1.0)
    middle = (np.cumsum(inner, axis=1) - inner / 2.0) / total
    quantile = np.vectorize(NormalDist().inv_cdf, otypes=[float])
    scores = np.zeros(counts.shape)
    scores[:, INNER] = np.where(inner > 0, quantile(np.clip(middle, 1e-9, 1 - 1e-9)), 0.0)
    scores[:, BELOW], scores[:, ABOVE] = scores.min(axis=1), scores.max(axis=1)
    return scores
