"""Which values of two columns go together: what the reference has less often than chance would, is odd.

The surprise of a pair is log((expected + c) / (seen + c)), its pointwise mutual information (Church, Hanks 1990) upside
down. A row's is the largest one, plus a quarter of the sum: the first finds one wrong value, the second many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

_SMOOTH = 0.2  # rows added to what is seen and expected
_MOST = 2000  # pairs looked at; of more, the ones that go together most
_PART = 0.25  # of the sum


@dataclass(frozen=True, slots=True)
class Pairs:
    """`first`, `second` (m,) columns; `surprise` their tables in a row, at `starts` (m,), `widths` (m,) wide."""

    first: Array
    second: Array
    starts: Array
    widths: Array
    surprise: Array

    @staticmethod
    def fit(bins: Array, states: Array, scores: Array) -> Pairs:
        """Of (n, d) bins, `states` (d,) of them a column; `scores` (n, d) tell which pairs to leave out of too many."""
        first, second = _chosen(scores)
        tables = [_surprise(bins[:, i], bins[:, j], states[i], states[j]) for i, j in zip(first, second, strict=True)]
        starts = np.cumsum([0, *map(len, tables)])[:-1]
        surprise = np.concatenate(tables) if tables else np.zeros(0, dtype=np.float32)
        return Pairs(first, second, starts, states[second], surprise)

    def each(self, bins: Array) -> Array:
        """(n, m) float32 surprise of each pair."""
        return np.asarray(self.surprise[self.starts + bins[:, self.first] * self.widths + bins[:, self.second]])

    def __call__(self, bins: Array) -> Array:
        """(n,) float32; 0 where there are no pairs."""
        if not len(self.first):
            return np.zeros(len(bins), dtype=np.float32)
        each = self.each(bins)
        return np.asarray(each.max(axis=1) + np.float32(_PART) * each.sum(axis=1))

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {f"pair_{name}": getattr(self, name) for name in _NAMES}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Pairs:
        """The one that `to_arrays` wrote."""
        return Pairs(*(arrays[f"pair_{name}"] for name in _NAMES))


_NAMES = ("first", "second", "starts", "widths", "surprise")


def _chosen(scores: Array) -> tuple[Array, Array]:
    """Every pair of columns, or the most correlated ones."""
    first, second = np.triu_indices(scores.shape[1], 1)
    if len(first) > _MOST:
        spread = scores.std(axis=0)
        z = (scores - scores.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
        together = np.abs(z.T @ z)[first, second]
        kept = np.sort(np.argsort(-together, kind="stable")[:_MOST])
        first, second = first[kept], second[kept]
    return first, second


def _surprise(a: Array, b: Array, rows: int, columns: int) -> Array:
    """(rows * columns,) float32."""
    seen = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)
    expected = seen.sum(axis=1, keepdims=True) * seen.sum(axis=0) / len(a)
    return np.asarray(np.log((expected + _SMOOTH) / (seen + _SMOOTH)).astype(np.float32).ravel())
