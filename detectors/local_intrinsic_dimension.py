"""How fast the number of reference rows around a row grows with distance, layer by layer.

Ma, Li, Wang, Erfani, Wijewickrema, Schoenebeck, Song, Houle, Bailey: Characterizing Adversarial Subspaces Using Local
Intrinsic Dimensionality (ICLR 2018). Neighbors come from the reference instead of the batch that a row arrives in, so
that it scores the same in any company.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable, View
from detectors.neighbors import Neighbors
from models.batch import Array, Arrays, InputSpec

_NEAR = np.float32(1e-9)  # a squared distance
_MOST = np.float32(1e6)


@dataclass(frozen=True, slots=True)
class LocalIntrinsicDimension:
    """The mean over layers of log estimates, each less `middle` and in units of `per_range`, (layers,)."""

    names: tuple[str, ...]
    layers: tuple[Neighbors, ...]
    middle: Array
    per_range: Array
    k: int
    name: str = "local_intrinsic_dimension"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        values = view.outputs.layers
        found = np.empty((len(view), len(self.layers)), dtype=np.float32)
        for index, (name, neighbors) in enumerate(zip(self.names, self.layers, strict=True)):
            found[:, index] = np.log(dimension(neighbors.nearest(values[name], self.k)[1]))
        found -= self.middle
        found *= self.per_range
        return np.asarray(found.mean(axis=1))


def dimension(squares: Array) -> Array:
    """The maximum likelihood estimate (Amsaleg et al., KDD 2015) of squared distances (n, k), nearest first."""
    radius = np.maximum(squares, _NEAR)
    growth = np.log(radius / radius[:, -1:]).mean(axis=1)
    growth *= np.float32(-0.5)
    return np.asarray(np.minimum(1.0 / np.maximum(growth, 1.0 / _MOST), _MOST), dtype=np.float32)


class LocalIntrinsicDimensionSpec(DetectorSpec):
    """`k` neighbors among at most `keep` reference rows, chosen by a seeded draw."""

    kind: Literal["local_intrinsic_dimension"] = "local_intrinsic_dimension"
    k: Annotated[int, Field(ge=2, le=500)] = 20
    keep: Annotated[int, Field(ge=10, le=5000)] = 2000
    needs: ClassVar[frozenset[Need]] = frozenset({"layers"})

    def fit(self, reference: Reference) -> Arrays:
        """The kept rows' values in each layer, and how large the estimates of other reference rows are.

        Raises:
            Unsuitable: too few rows.
        """
        n = len(reference.view)
        if n < 4 * self.k:
            raise Unsuitable(f"local_intrinsic_dimension needs {4 * self.k} reference rows or more, not {n}")
        order = np.random.default_rng(reference.seed).permutation(n)
        kept = min(self.keep, n * 3 // 4)
        rows, others = np.sort(order[:kept]), np.sort(order[kept : kept + self.keep])
        layers = reference.view.outputs.layers
        learned: dict[str, Array] = {"names": np.array(list(layers))}
        scale = np.empty((2, len(layers)), dtype=np.float32)
        for index, values in enumerate(layers.values()):
            neighbors = Neighbors.fit(values[rows], directions=False)
            found = np.log(dimension(neighbors.nearest(values[others], min(self.k, kept))[1]))
            middle, high = np.quantile(found, [0.5, 0.9])
            scale[:, index] = middle, 1.0 / (high - middle) if high > middle else 0.0
            learned |= neighbors.to_arrays(index)
        return {**learned, "scale": scale}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these rows."""
        names = tuple(str(name) for name in arrays["names"])
        layers = tuple(Neighbors.from_arrays(arrays, index, directions=False) for index in range(len(names)))
        middle, per_range = arrays["scale"]
        return LocalIntrinsicDimension(names, layers, middle, per_range, min(self.k, len(arrays["kept_0"])))

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """How many rows were kept."""
        kept = len(arrays["kept_0"])
        return (f"local_intrinsic_dimension: keeps {kept} reference rows in {len(arrays['names'])} layers",)
