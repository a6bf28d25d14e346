"""The probability of the likeliest class: low for rows unlike those the model was trained on.

Hendrycks, Gimpel: A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks (ICLR
2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Need, View
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = np.float32(1e9)
_LEAST = np.float32(1e-37)


@dataclass(frozen=True, slots=True)
class MaxSoftmax:
    """The log odds against the likeliest class, log((1 - p) / p): in the order of 1 - p, but not cut off near p = 1."""

    name: str = "max_softmax"

    def score(self, view: View) -> Array:
        """(n,) float32; the largest for a row with a logit that is no number."""
        logits = view.outputs.logits
        assert logits is not None, "fitted on a model with logits"
        rows = np.arange(len(logits))
        likeliest = logits.argmax(axis=1)
        with np.errstate(invalid="ignore"):  # infinite logits
            others: Array = logits - logits[rows, likeliest, None]
        np.exp(others, out=others)
        others[rows, likeliest] = 0.0
        odds = others.sum(axis=1)
        np.maximum(odds, _LEAST, out=odds)
        score: Array = np.log(odds, out=odds)
        return np.nan_to_num(score, copy=False, nan=float(_MOST_SCORE), posinf=float(_MOST_SCORE))


class MaxSoftmaxSpec(DetectorSpec):
    """Nothing to learn."""

    kind: Literal["max_softmax"] = "max_softmax"
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector."""
        return MaxSoftmax()
