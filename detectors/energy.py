"""The free energy of the logits: low for rows like those the model was trained on.

Liu, Wang, Owens, Li: Energy-based Out-of-distribution Detection (NeurIPS 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Need, Unsuitable, View
from models.backend import Outputs
from models.batch import Array, Arrays, InputSpec

_MOST_SCORE = 1e9


@dataclass(frozen=True, slots=True)
class Energy:
    """-T logsumexp(logits / T)."""

    temperature: np.float32
    name: str = "energy"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        logits = view.outputs.logits
        assert logits is not None, "fitted on a model with logits"
        return energy(logits, self.temperature)


def energy(logits: Array, temperature: np.float32) -> Array:
    """(n,) float32 of (n, classes) float32; a row whose logits are no numbers gets the largest energy."""
    scaled = logits if temperature == 1.0 else logits / temperature
    top = np.maximum.reduce(scaled, axis=1)  # not `max`, whose detour through Python costs more than one row's work
    terms = scaled - top[:, None]
    np.exp(terms, out=terms)
    total: Array = np.add.reduce(terms, axis=1)
    np.log(total, out=total)
    total += top
    total *= -temperature
    if not total.dot(total) < _MOST_SCORE:
        total = np.clip(np.nan_to_num(total, nan=_MOST_SCORE), -_MOST_SCORE, _MOST_SCORE)
    return total


class EnergySpec(DetectorSpec):
    """`temperature` as in the paper, which finds 1 good everywhere."""

    kind: Literal["energy"] = "energy"
    temperature: Annotated[float, Field(gt=0.0, le=1e6)] = 1.0
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector."""
        return Energy(np.float32(self.temperature))

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """Also refuses log-probabilities: their energy is 0, and at a temperature above 1 it falls with doubt."""
        super().refuse_unsuitable(spec, outputs)
        if (
            outputs.logits is not None
            and len(outputs.logits)
            and np.abs(energy(outputs.logits, np.float32(1.0))).max() < 1e-4
        ):
            raise Unsuitable("energy needs logits; this model ends in probabilities, whose energy says nothing")
