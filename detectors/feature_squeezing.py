"""How far the model's answer moves when the input is squeezed: adversarial detail does not survive it.

Xu, Evans, Qi: Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (NDSS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec
from defenses.bit_depth import BitDepthSpec
from defenses.catalogue import AnyPurifierSpec
from defenses.median import MedianSpec
from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable, View
from detectors.squeezers import build_squeezers, median, train_squeezers
from models.batch import Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class FeatureSqueezing:
    """The largest L1 distance between the class probabilities of a row and of each squeezed copy of it."""

    squeezers: tuple[Purifier, ...]
    name: str = "feature_squeezing"

    def score(self, view: View) -> Array:
        """(n,) float32 in [0, 2]; 2 where the model's answer is no number."""
        plain = _softmax(view.outputs.logits)
        score = np.zeros(len(plain), dtype=np.float32)
        for squeezer in self.squeezers:
            gap = _softmax(view.through(squeezer).logits)
            gap -= plain
            np.abs(gap, out=gap)
            np.maximum(score, gap.sum(axis=1), out=score)
        return np.nan_to_num(score, copy=False, nan=2.0)


def _softmax(logits: Array | None) -> Array:
    assert logits is not None, "fitted on a model with logits"
    p: Array = logits - logits.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p


class FeatureSqueezingSpec(DetectorSpec):
    """`squeezers` are purifiers; left out, images and series get bit depth and a median."""

    kind: Literal["feature_squeezing"] = "feature_squeezing"
    squeezers: Annotated[tuple[AnyPurifierSpec, ...], Field(min_length=1)] | None = None
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series", "table"})

    @property
    def cost(self) -> float:
        """One a squeezer; two where none are listed."""
        return float(len(self.squeezers or (BitDepthSpec, MedianSpec)))

    def fit(self, reference: Reference) -> Arrays:
        """What the squeezers learn."""
        self.refuse_unsuitable(reference.spec, reference.view.outputs)
        return train_squeezers(self._squeezers(reference.spec), reference)

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """Raises `Unsuitable` where a squeezer can't work on this input."""
        return FeatureSqueezing(build_squeezers(self._squeezers(spec), arrays, spec))

    def _squeezers(self, spec: InputSpec) -> tuple[PurifierSpec, ...]:
        if self.squeezers is not None:
            return self.squeezers
        if spec.kind == "table":
            raise Unsuitable("feature_squeezing has no squeezers of its own for tables: list some as `squeezers`")
        return BitDepthSpec(bits=4), median(spec)
