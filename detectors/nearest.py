"""Distance to the k-th nearest reference row.

Sun, Ming, Zhu, Li: Out-of-Distribution Detection with Deep Nearest Neighbors (ICML 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.space import Space
from detectors.subspace import Subspace
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec

_BLOCK = 256  # rows at a time: 5,000 distances each
_MOST_SCORE = np.float32(1e9)
_MOST_VALUES = 2**16  # kept coordinates in all, 256 KiB: one row against them must not wait for memory


@dataclass(frozen=True, slots=True)
class Nearest:
    """Squared distances from one matmul, |a|^2 - 2 a b + |b|^2; the k-th neighbor's is then measured exactly.

    `kept` (m, d) are reference coordinates (in the subspace, if any), `minus_twice` (d, m) is -2 of them, `squares`
    (m,) their squared norms.
    """

    space: Space
    subspace: Subspace | None
    k: int
    kept: Array
    minus_twice: Array
    squares: Array
    name: str = "nearest"

    def score(self, view: View) -> Array:
        """(n,) float32, Euclidean distance."""
        z = self.space.coordinates(view)
        if self.subspace is not None:
            z = self.subspace(z)
        if len(z) <= _BLOCK:
            return self._score(z)
        return np.concatenate([self._score(z[start : start + _BLOCK]) for start in range(0, len(z), _BLOCK)])

    def _score(self, z: Array) -> Array:
        ranks = z.dot(self.minus_twice)
        ranks += self.squares
        gap = z - self.kept[self._kth(ranks)]
        gap *= gap
        distance: Array = np.sqrt(np.add.reduce(gap, axis=1))
        return np.asarray(np.minimum(distance, _MOST_SCORE, out=distance))

    def _kth(self, ranks: Array) -> Array:
        """(n,) index of the k-th smallest. For a small k, taking the smallest k times beats a partition by far."""
        if self.k > 16:
            return np.asarray(np.argpartition(ranks, self.k - 1, axis=1)[:, self.k - 1])
        rows = np.arange(len(ranks))
        nearest = ranks.argmin(axis=1)
        for _ in range(self.k - 1):
            ranks[rows, nearest] = np.inf
            nearest = ranks.argmin(axis=1)
        return np.asarray(nearest)


class NearestSpec(DetectorSpec):
    """`k`-th neighbor among at most `keep` reference rows, chosen by a seeded draw.

    Wide features are reduced to `components` and their distance from these: more rows fit the cache, and find more.
    """

    kind: Literal["nearest"] = "nearest"
    k: Annotated[int, Field(ge=1, le=1000)] = 5
    keep: Annotated[int, Field(ge=1, le=5000)] = 5000
    components: Annotated[int, Field(ge=1, le=1024)] = 32

    def fit(self, reference: Reference) -> Arrays:
        """The kept coordinates: of at most `keep` rows, and fewer where a row has many."""
        space = Space.fit(reference)
        kept = space.coordinates(reference.view)
        subspace = Subspace.fit(kept, self.components)
        basis = NO_ARRAYS
        if subspace is not None:
            kept, basis = subspace(kept), {"basis": subspace.basis}
        n, d = kept.shape
        most = min(self.keep, max(_MOST_VALUES // d, self.k))
        if n > most:
            kept = kept[np.sort(np.random.default_rng(reference.seed).choice(n, most, replace=False))]
        return {**space.to_arrays(), **basis, "kept": kept, "of": np.array(n)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these kept rows; with fewer than k of them, the farthest counts."""
        kept = np.ascontiguousarray(arrays["kept"])
        minus_twice = np.ascontiguousarray(-2.0 * kept.T)
        squares = np.einsum("ij,ij->i", kept, kept)
        subspace = Subspace(arrays["basis"]) if "basis" in arrays else None
        return Nearest(Space.from_arrays(arrays), subspace, min(self.k, len(kept)), kept, minus_twice, squares)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """The space, and how many rows were kept."""
        kept = f"nearest: keeps {len(arrays['kept'])} of {int(arrays['of'])} reference rows"
        if "basis" in arrays:
            kept += f", by {self.components} principal components and their distance from these"
        return (Space.from_arrays(arrays).note(), kept)
