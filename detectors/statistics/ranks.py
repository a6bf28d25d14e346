"""Columns on one scale: where a value stands among the reference's, as a normal score and as a bin.

Normal scores of ranks are those of van der Waerden (1952); a Gaussian over them is a Gaussian copula. A column of few
values has a knot at each, in the middle of its ranks; any other has knots at quantiles. Between knots lie straight
lines; beyond the last one the line from the middle goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from models.batch import Array, Arrays

_FEW = 32  # distinct values up to which each of them is a bin
_BINS = 16  # of other columns
_KNOTS = 64
_FAR = 12.0  # normal scores


@dataclass(frozen=True, slots=True)
class Ranks:
    """`knots` (d, k) ascending, padded with infinity; `base`, `score`, `slope` (d, k + 1) of the lines between.

    `edges` (d, b) are where bins begin, padded with infinity; `states` (d,) the bins of each column, the last one for
    what is missing.
    """

    knots: Array
    base: Array
    score: Array
    slope: Array
    edges: Array
    states: Array

    @staticmethod
    def fit(x: Array) -> Ranks:
        """Of reference rows (n, d), float32 or float64, NaN where missing; the arithmetic stays in that type."""
        columns = [column[np.isfinite(column)].astype(np.float64) for column in x.T]
        found = [_line(column) for column in columns]
        edges = [_edges(column) for column in columns]
        base, score, slope = (_padded([lines[i] for _, *lines in found], 0.0) for i in range(3))
        return Ranks(
            _padded([knots for knots, *_ in found], np.inf).astype(x.dtype),
            base.astype(x.dtype),
            score.astype(np.float32),
            slope.astype(np.float32),
            _padded(edges, np.inf).astype(x.dtype),
            np.array([len(edge) + 2 for edge in edges]),
        )

    def scores(self, x: Array) -> Array:
        """(n, d) float32 normal scores; 0 where missing."""
        place = np.count_nonzero(x[:, :, None] >= self.knots, axis=2)
        column = np.arange(x.shape[1])
        z = np.clip(x - self.base[column, place], -1e30, 1e30).astype(np.float32)
        z *= self.slope[column, place]
        z += self.score[column, place]
        np.clip(z, -_FAR, _FAR, out=z)
        return np.asarray(np.nan_to_num(z, copy=False, nan=0.0))

    def bins(self, x: Array) -> Array:
        """(n, d) integers below `states`."""
        found = np.count_nonzero(x[:, :, None] >= self.edges, axis=2)
        missing = np.isnan(x)
        return np.asarray(np.where(missing, self.states - 1, found) if missing.any() else found)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {f"rank_{name}": getattr(self, name) for name in _NAMES}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Ranks:
        """The one that `to_arrays` wrote."""
        return Ranks(*(arrays[f"rank_{name}"] for name in _NAMES))


_NAMES = ("knots", "base", "score", "slope", "edges", "states")


def _line(column: Array) -> tuple[Array, Array, Array, Array]:
    """Knots (k,); and of the lines before, between and after them base, normal score there and slope, (k + 1,) each."""
    if not len(column):
        return np.zeros(0), np.zeros(1), np.zeros(1), np.zeros(1)
    knots, counts = np.unique(column, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * counts) / len(column)
    if len(knots) > _KNOTS:
        wanted = ndtr(np.linspace(ndtri(ranks[0]), ndtri(ranks[-1]), _KNOTS))
        picked = np.unique(np.searchsorted(ranks, wanted).clip(0, len(ranks) - 1))
        knots, ranks = knots[picked], ranks[picked]
    score = ndtri(ranks)
    middle = len(knots) // 2
    before = _slope(knots[[0, middle]], score[[0, middle]])
    after = _slope(knots[[max(middle - 1, 0), -1]], score[[max(middle - 1, 0), -1]])
    slopes = np.concatenate([before, np.diff(score) / np.diff(knots), after])
    return knots, np.concatenate([knots[:1], knots]), np.concatenate([score[:1], score]), slopes


def _slope(knots: Array, score: Array) -> Array:
    return np.asarray(np.diff(score) / np.diff(knots)) if knots[1] > knots[0] else np.zeros(1)


def _edges(column: Array) -> Array:
    distinct = np.unique(column)
    if len(distinct) <= _FEW:
        return np.asarray((distinct[1:] + distinct[:-1]) / 2.0)
    return np.asarray(np.unique(np.quantile(column, np.arange(1, _BINS) / _BINS, method="higher")))


def _padded(parts: list[Array], value: float) -> Array:
    longest = max(map(len, parts))
    return np.stack([np.pad(part, (0, longest - len(part)), constant_values=value) for part in parts])
