"""How a table's row stands out: by a value, by two values that don't go together, by what its other columns foretell.

`values`: the column whose value is farthest out, or new. `pairs`: values of two columns that are rarely seen together.
`residuals`: what is left of each column's normal score when the others foretell it by a ridge regression, all at once
from one inverse covariance; summed as a Student t has it (Lange, Little, Taylor 1989): no column drowns the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.base import View
from detectors.rules import cast
from detectors.shrinkage import whitening
from detectors.statistics.known import Known
from detectors.statistics.pairs import Pairs
from detectors.statistics.ranks import Ranks
from models.batch import Array, Arrays, InputSpec

_CELLS = 4_000_000  # compared at a time
_FREEDOM = np.float32(3.0)


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """`center` (d,) of normal scores; `foretold` (d, d) makes residuals of unit variance of them."""

    columns: tuple[str, ...]
    ranks: Ranks
    pairs: Pairs
    known: Known
    center: Array
    foretold: Array
    looks: tuple[str, ...] = ("values", "pairs", "residuals")

    @staticmethod
    def fit(
        view: View, spec: InputSpec, fitted: Array, aside: Array, worn: Sequence[View] = ()
    ) -> tuple[TableStatistics, Array]:
        """Of the `fitted` reference rows; and the distances of the rows `aside`. Tables have no `worn` rows."""
        statistics = TableStatistics.learn(view.x[fitted], spec)
        return statistics, statistics.distances(view.x[aside])

    @staticmethod
    def learn(x: Array, spec: InputSpec) -> TableStatistics:
        """Of rows (n, d)."""
        x = cast(x.reshape(len(x), spec.size))
        ranks = Ranks.fit(x)
        parts = [(ranks.scores(part), ranks.bins(part)) for part in _in_parts(x, ranks.knots.size)]
        scores, bins = (np.concatenate([part[i] for part in parts]) for i in range(2))
        center = scores.mean(axis=0)
        spread = whitening(scores.astype(np.float64) - center)
        inverse = spread @ spread.T
        foretold = inverse / np.sqrt(np.diag(inverse))
        still = scores.std(axis=0) == 0.0
        foretold[:, still] = 0.0
        pairs = Pairs.fit(bins, ranks.states, scores)
        names = spec.columns if len(spec.columns) == spec.size else tuple(map(str, range(spec.size)))
        return TableStatistics(names, ranks, pairs, Known.fit(x), center, foretold.astype(np.float32))

    def of(self, view: View) -> Array:
        """(n, 3) float32 distances."""
        return self.distances(view.x)

    def distances(self, x: Array) -> Array:
        """(n, 3) float32 of guarded rows."""
        rows = cast(x.reshape(len(x), len(self.columns)))
        each = max(self.ranks.knots.size, self.known.values.size)
        parts = [self._distances(part) for part in _in_parts(rows, each)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _distances(self, x: Array) -> Array:
        z = self.ranks.scores(x)
        found = np.empty((len(x), 3), dtype=np.float32)
        found[:, 0] = np.sqrt(2.0 * self._odd(x, z).max(axis=1))
        found[:, 1] = self.pairs(self.ranks.bins(x))
        z -= self.center
        residuals = z.dot(self.foretold)
        np.multiply(residuals, residuals, out=residuals)
        residuals /= _FREEDOM
        found[:, 2] = np.log1p(residuals, out=residuals).sum(axis=1)
        return found

    def _odd(self, x: Array, z: Array) -> Array:
        """(n, d), in nats."""
        odd = np.float32(0.5) * z * z
        odd[:, self.known.columns] = np.maximum(odd[:, self.known.columns], self.known(x))
        return np.asarray(odd)

    def explain(self, x: Array, look: str) -> str:
        """Which column or columns stand out most in the row (1, ...) by this look, in words."""
        x = cast(x.reshape(1, len(self.columns)))
        z = self.ranks.scores(x)
        if look == "pairs":
            at = int(self.pairs.each(self.ranks.bins(x))[0].argmax())
            i, j = int(self.pairs.first[at]), int(self.pairs.second[at])
            return f"{self._told(x, i)} and {self._told(x, j)} rarely go together"
        if look == "values":
            return f"{self._told(x, int(self._odd(x, z)[0].argmax()))} is far out or new"
        at = int(np.abs((z - self.center).dot(self.foretold))[0].argmax())
        return f"{self._told(x, at)} is not what the other columns foretell"

    def _told(self, x: Array, column: int) -> str:
        return f"column {self.columns[column]!r} = {x[0, column]:.6g}"

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        learned = {"center": self.center, "foretold": self.foretold}
        return {**self.ranks.to_arrays(), **self.pairs.to_arrays(), **self.known.to_arrays(), **learned}

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> TableStatistics:
        """Those that `to_arrays` wrote."""
        names = spec.columns if len(spec.columns) == spec.size else tuple(map(str, range(spec.size)))
        return TableStatistics(
            names,
            Ranks.from_arrays(arrays),
            Pairs.from_arrays(arrays),
            Known.from_arrays(arrays),
            arrays["center"],
            arrays["foretold"],
        )


def _in_parts(x: Array, each: int) -> list[Array]:
    """So many rows at a time that `each` comparisons a row fit in memory."""
    rows = max(1, _CELLS // max(each, 1))
    return [x[start : start + rows] for start in range(0, max(len(x), 1), rows)]
