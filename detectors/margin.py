"""The gap between the two largest logits: attacks that stop as soon as the answer changes end up next to a boundary.

Used so by Hosseini, Kannan, Poovendran: Are Odds Really Odd? (2019), after Roth, Kilcher, Hofmann (ICML 2019). A gap
larger than any honest one is suspicious too; a combiner looks at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Need, Unsuitable, View
from models.backend import Outputs
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = np.float32(1e9)


@dataclass(frozen=True, slots=True)
class Margin:
    """Second largest logit minus the largest: 0 at a boundary, lower the surer the model is."""

    name: str = "margin"

    def score(self, view: View) -> Array:
        """(n,) float32; 0 where a logit is no number."""
        logits = view.outputs.logits
        assert logits is not None, "fitted on a model with logits"
        top = np.partition(logits, -2, axis=1)[:, -2:]
        with np.errstate(invalid="ignore"):  # infinite logits
            gap: Array = top[:, 0] - top[:, 1]
        np.nan_to_num(gap, copy=False, nan=0.0)
        return np.asarray(np.maximum(gap, -_MOST_SCORE, out=gap), dtype=np.float32)


class MarginSpec(DetectorSpec):
    """Nothing to learn."""

    kind: Literal["margin"] = "margin"
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector."""
        return Margin()

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """Also refuses fewer than two classes."""
        super().refuse_unsuitable(spec, outputs)
        if outputs.logits is not None and outputs.logits.shape[1] < 2:
            raise Unsuitable("margin needs two classes or more")
