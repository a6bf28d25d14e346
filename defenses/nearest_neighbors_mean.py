"""Replaces a row of a table by the mean of the reference rows that are nearest to it.

Dubey, van der Maaten, Yalniz, Li, Mahajan: Defense Against Adversarial Images using Web-Scale Nearest-Neighbor Search
(CVPR 2019), there with the answers of the neighbors instead of the neighbors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec, Unsuitable
from defenses.columns import Columns
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class NearestNeighborsMean:
    """Distances are Euclidean over standardised columns; a missing value is at no distance, and stays missing.

    Row by row: a matrix product would add up in another order for a row alone than for the same row among others.
    """

    name: str
    k: int
    known: Array  # (m, columns) float32, in standard units
    columns: Columns

    def apply(self, x: Array) -> Array:
        """(n, columns), same dtype."""
        lost = np.isnan(x) if self.columns.values.missing else np.zeros(x.shape, dtype=bool)
        found = np.empty(x.shape)
        for index, row in enumerate(self.columns.enter(x)):
            gap = self.known - row
            gap[:, lost[index]] = 0.0
            nearest = np.argpartition(np.einsum("ij,ij->i", gap, gap), self.k - 1)[: self.k]
            found[index] = self.known[np.sort(nearest)].mean(axis=0, dtype=np.float64)
        return self.columns.leave(found, x)


class NearestNeighborsMeanSpec(PurifierSpec):
    """`k` neighbors among at most `keep` reference rows, drawn with `seed`."""

    kind: Literal["nearest_neighbors_mean"] = "nearest_neighbors_mean"
    k: Annotated[int, Field(ge=1, le=1000)] = 5
    keep: Annotated[int, Field(ge=1, le=1_000_000)] = 5000
    seed: Annotated[int, Field(ge=0)] = 0
    suits: ClassVar[frozenset[Kind]] = frozenset({"table"})

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """`known`, `mean`, `spread`.

        Raises:
            Unsuitable: no table, or fewer reference rows than `k`.
        """
        self.refuse_unsuitable(spec)
        if len(x) < self.k:
            raise Unsuitable(f"nearest_neighbors_mean needs at least `k` ({self.k}) reference rows, found {len(x)}")
        arrays = Columns.learn(x)
        picked = np.sort(np.random.default_rng(self.seed).permutation(len(x))[: max(self.keep, self.k)])
        return {**arrays, "known": Columns.of(spec, arrays).enter(x[picked])}

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but tables."""
        self.refuse_unsuitable(spec)
        if "known" not in arrays:
            raise Unsuitable("nearest_neighbors_mean needs reference rows: fit it first")
        name = f"nearest_neighbors_mean-{self.k}-{self.keep}-{self.seed}"
        return NearestNeighborsMean(name, self.k, arrays["known"], Columns.of(spec, arrays))
