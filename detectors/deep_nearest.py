"""How many of a row's nearest reference rows, layer by layer, are of another class than the model says it is.

Papernot, McDaniel: Deep k-Nearest Neighbors: Towards Confident, Interpretable and Robust Deep Learning (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Need, Reference, View
from detectors.neighbors import Neighbors
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class DeepNearest:
    """`labels` (m,) are the kept rows' classes, the same rows in all layers."""

    names: tuple[str, ...]
    layers: tuple[Neighbors, ...]
    labels: Array
    k: int
    name: str = "deep_nearest"

    def score(self, view: View) -> Array:
        """(n,) float32: the share of neighbors of another class, over all layers."""
        outputs = view.outputs
        assert outputs.logits is not None, "fitted on a model with logits"
        classes = outputs.logits.argmax(axis=1)[:, None]
        other = np.zeros(len(view), dtype=np.int64)
        for name, neighbors in zip(self.names, self.layers, strict=True):
            nearest, _ = neighbors.nearest(outputs.layers[name], self.k)
            other += np.count_nonzero(self.labels[nearest] != classes, axis=1)
        return (other / (self.k * len(self.layers))).astype(np.float32)


class DeepNearestSpec(DetectorSpec):
    """`k` neighbors among at most `keep` reference rows, chosen by a seeded draw."""

    kind: Literal["deep_nearest"] = "deep_nearest"
    k: Annotated[int, Field(ge=1, le=500)] = 20
    keep: Annotated[int, Field(ge=10, le=5000)] = 2000
    needs: ClassVar[frozenset[Need]] = frozenset({"logits", "layers"})

    def fit(self, reference: Reference) -> Arrays:
        """The kept rows' values in each layer; classes are the known labels, else the predicted ones."""
        n = len(reference.view)
        rows = np.sort(np.random.default_rng(reference.seed).permutation(n)[: self.keep])
        layers = reference.view.outputs.layers
        learned: dict[str, Array] = {"names": np.array(list(layers)), "labels": reference.labels[rows]}
        for index, values in enumerate(layers.values()):
            learned |= Neighbors.fit(values[rows], directions=True).to_arrays(index)
        return learned

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these rows; with fewer than k of them, all count."""
        names = tuple(str(name) for name in arrays["names"])
        layers = tuple(Neighbors.from_arrays(arrays, index, directions=True) for index in range(len(names)))
        return DeepNearest(names, layers, arrays["labels"], min(self.k, len(arrays["labels"])))

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """How many rows were kept."""
        return (f"deep_nearest: keeps {len(arrays['labels'])} reference rows in {len(arrays['names'])} layers",)
