"""Distance to the nearest class mean, in units of the spread that all classes share.

Lee, Lee, Lee, Shin: A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks
(NeurIPS 2018). The tied covariance is shrunk as Ledoit and Wolf (2004) do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.shrinkage import whitening
from detectors.space import Space
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = np.float32(1e9)


@dataclass(frozen=True, slots=True)
class Mahalanobis:
    """Coordinates z become y = z W; the score is |y|^2 + min over classes of |m|^2 - 2 y m, all in one matmul.

    `weights` (d, d + classes) holds W beside -2 W m, `offsets` (classes,) |m|^2.
    """

    space: Space
    weights: Array
    offsets: Array
    name: str = "mahalanobis"

    def score(self, view: View) -> Array:
        """(n,) float32, the smallest squared distance over classes."""
        out = self.space.coordinates(view).dot(self.weights)
        d = len(self.weights)
        y = out[:, :d]
        squares: Array = np.add.reduce(y * y, axis=1)
        squares += np.minimum.reduce(out[:, d:] + self.offsets, axis=1)
        np.maximum(squares, np.float32(0.0), out=squares)
        return np.minimum(squares, _MOST_SCORE, out=squares)


class MahalanobisSpec(DetectorSpec):
    """Classes are the labels of the reference, else those that the model predicts; without either, one class."""

    kind: Literal["mahalanobis"] = "mahalanobis"

    def fit(self, reference: Reference) -> Arrays:
        """Class means, tied covariance. Classes without rows are left out."""
        space = Space.fit(reference)
        z = space.coordinates(reference.view).astype(np.float64)
        _, classes = np.unique(_classes(reference), return_inverse=True)
        count = np.bincount(classes).astype(np.float64)
        means = np.zeros((len(count), z.shape[1]))
        np.add.at(means, classes, z)
        means /= count[:, None]
        whitened = whitening(z - means[classes])
        return {**space.to_arrays(), "means": means, "whitening": whitened}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these means and this whitening."""
        whitened = arrays["whitening"]
        means = arrays["means"] @ whitened
        weights = np.hstack([whitened, -2.0 * whitened @ means.T]).astype(np.float32)
        offsets = (means**2).sum(axis=1).astype(np.float32)
        return Mahalanobis(Space.from_arrays(arrays), np.ascontiguousarray(weights), offsets)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """The space, and the number of classes."""
        return (Space.from_arrays(arrays).note(), f"mahalanobis: {len(arrays['means'])} class means")


def _classes(reference: Reference) -> Array:
    """Integer labels, else predicted classes, else one class for all: a regression target is no class."""
    y = reference.y
    if y is not None and np.asarray(y).dtype.kind in "iub":
        return reference.labels
    logits = reference.view.outputs.logits
    if logits is None:
        return np.zeros(len(reference.view), dtype=np.int64)
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)
