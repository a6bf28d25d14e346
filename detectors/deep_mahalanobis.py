"""Distance to the predicted class in several layers of the model, the largest of them.

Lee, Lee, Lee, Shin: A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks
(NeurIPS 2018), with its feature ensemble; the class is the one that the model predicts, since a row that looks like
another class in an early layer is just what an attack makes. The covariance is shrunk as Ledoit and Wolf (2004) do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable, View
from detectors.digest import digest
from detectors.shrinkage import whitening
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = np.float32(1e9)
_FEW = 50  # reference rows
_SCALED_ON = 0.25  # of the reference rows: not fitted on, they tell how large distances of new rows are


@dataclass(frozen=True, slots=True)
class LayerDistance:
    """`center` (d,); `weights` (d, d) whiten; `means` (classes, d) are whitened and centered.

    `middle` and `per_range` put distances of layers on one scale: 0 for a middling row, 1 for one in a hundred.
    """

    name: str
    center: Array
    weights: Array
    means: Array
    middle: Array
    per_range: Array

    def __call__(self, values: Array, classes: Array) -> Array:
        """(n,) float32 of pooled values (n, d) and predicted classes."""
        y = (values - self.center).dot(self.weights)
        y -= self.means[classes]
        found = np.sqrt(np.einsum("ij,ij->i", y, y))
        found -= self.middle
        found *= self.per_range
        return np.asarray(found)


@dataclass(frozen=True, slots=True)
class DeepMahalanobis:
    """The largest distance over `layers`, of all or of one."""

    layers: tuple[LayerDistance, ...]
    which: slice
    shared: str  # by detectors that look at other layers
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32."""
        distances = view.once(self.shared, lambda: self._distances(view))
        return np.asarray(distances[:, self.which].max(axis=1))

    def _distances(self, view: View) -> Array:
        logits, layers = view.outputs.logits, view.outputs.layers
        assert logits is not None, "fitted on a model with logits"
        classes = logits.argmax(axis=1)
        found = np.empty((len(view), len(self.layers)), dtype=np.float32)
        for index, layer in enumerate(self.layers):
            found[:, index] = layer(layers[layer.name], classes)
        np.nan_to_num(found, copy=False, nan=float(_MOST_SCORE), posinf=float(_MOST_SCORE))
        return np.asarray(np.minimum(found, _MOST_SCORE, out=found))


class DeepMahalanobisSpec(DetectorSpec):
    """`layer` picks one, counted from the input (0, 1, ...) or from the end (-1, -2, ...); all are taken by default."""

    kind: Literal["deep_mahalanobis"] = "deep_mahalanobis"
    layer: int | Literal["all"] = "all"
    needs: ClassVar[frozenset[Need]] = frozenset({"logits", "layers"})

    def fit(self, reference: Reference) -> Arrays:
        """Class means and tied covariance of each layer, by the classes that the model predicts.

        Raises:
            Unsuitable: too few rows, or no such layer.
        """
        outputs, n = reference.view.outputs, len(reference.view)
        if n < _FEW or outputs.logits is None:
            raise Unsuitable(f"deep_mahalanobis needs {_FEW} reference rows or more, not {n}")
        self._which(len(outputs.layers))
        order = np.random.default_rng(reference.seed).permutation(n)
        aside, fitted = order[: int(n * _SCALED_ON)], np.sort(order[int(n * _SCALED_ON) :])
        classes = outputs.logits.argmax(axis=1)
        learned: dict[str, Array] = {"names": np.array(list(outputs.layers))}
        for index, values in enumerate(outputs.layers.values()):
            layer = _learn(values[fitted], classes[fitted], outputs.logits.shape[1])
            distances = _layer("", layer)(values[aside], classes[aside])
            middle, high = np.quantile(distances, [0.5, 0.99])
            learned |= {f"{key}_{index}": array for key, array in layer.items()}
            learned[f"scale_{index}"] = np.array([middle, 1.0 / (high - middle) if high > middle else 0.0])
        return learned

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these layers."""
        names = [str(name) for name in arrays["names"]]
        layers = tuple(
            _layer(name, {key: arrays[f"{key}_{index}"] for key in ("center", "weights", "means", "scale")})
            for index, name in enumerate(names)
        )
        which = self._which(len(layers))
        name = self.kind if self.layer == "all" else f"{self.kind}[{self.layer}]"
        return DeepMahalanobis(layers, which, digest(arrays), name)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """The layers."""
        names = [str(name) for name in arrays["names"]]
        return (f"deep_mahalanobis: layers {', '.join(names[self._which(len(names))])}",)

    def _which(self, count: int) -> slice:
        if self.layer == "all":
            return slice(0, count)
        if not -count <= self.layer < count:
            raise Unsuitable(f"layer: expected all, or {-count} to {count - 1}, found {self.layer}")
        return slice(self.layer % count, self.layer % count + 1)


def _learn(values: Array, classes: Array, count: int) -> dict[str, Array]:
    """Class means of (n, d) values; a class without rows has the mean of all."""
    z = values.astype(np.float64)
    center = z.mean(axis=0)
    z -= center
    rows = np.bincount(classes, minlength=count).astype(np.float64)
    means = np.zeros((count, z.shape[1]))
    np.add.at(means, classes, z)
    means /= np.maximum(rows, 1.0)[:, None]
    weights = whitening(z - means[classes])
    single = np.float32
    return {
        "center": center.astype(single),
        "weights": weights.astype(single),
        "means": (means @ weights).astype(single),
    }


def _layer(name: str, arrays: Arrays) -> LayerDistance:
    scale = arrays.get("scale", np.array([0.0, 1.0])).astype(np.float32)
    return LayerDistance(name, arrays["center"], arrays["weights"], arrays["means"], scale[0], scale[1])
