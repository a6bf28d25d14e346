"""How far the answer moves when a row goes through an autoencoder that was trained to keep the answers of honest rows.

Vacanti, Van Looveren: Adversarial Detection and Correction by Matching Prediction Distributions (2020). The network
here adds to its input and is trained on noisy rows, where theirs has a bottleneck.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier
from defenses.denoising_autoencoder import DenoisingAutoencoder, DenoisingAutoencoderSpec
from detectors.base import Detector, DetectorSpec, Need, Reference, View
from detectors.odds import Odds
from models.batch import Array, Arrays, InputSpec, Kind

_SMALLEST = np.float32(1e-12)
_MOST_SCORE = np.float32(1e6)


@dataclass(frozen=True, slots=True)
class AdversarialAutoencoder:
    """The divergence of the answer after the autoencoder from that before, or with `odds` the most unusual shift."""

    autoencoder: Purifier
    temperature: float
    odds: Odds | None
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32."""
        plain, moved = view.outputs.logits, view.through(self.autoencoder).logits
        assert plain is not None, "fitted on a model with logits"
        assert moved is not None, "the same model"
        if self.odds is not None:
            return self.odds.score(plain, moved)
        p, q = (_log_softmax(logits, self.temperature) for logits in (plain, moved))
        with np.errstate(invalid="ignore"):  # infinite logits
            found = (np.exp(p) * (p - q)).sum(axis=1)
        return np.asarray(np.clip(np.nan_to_num(found, nan=float(_MOST_SCORE)), 0.0, _MOST_SCORE), dtype=np.float32)


class AdversarialAutoencoderSpec(DetectorSpec):
    """`measure` is `divergence` (Kullback and Leibler's, of answers at a `temperature`), or `odds`, unusual shifts of
    log-odds.

    The network's keys are those of the purifier `denoising_autoencoder`.
    """

    kind: Literal["adversarial_autoencoder"] = "adversarial_autoencoder"
    measure: Literal["divergence", "odds"] = "odds"
    temperature: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0
    noise: Annotated[float, Field(gt=0.0, le=10.0)] = 0.3
    steps: Annotated[int, Field(ge=1, le=100_000)] = 300
    width: Annotated[int, Field(ge=1, le=1024)] = 32
    depth: Annotated[int, Field(ge=1, le=20)] = 4
    seed: Annotated[int, Field(ge=0)] = 0
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series", "table"})

    @property
    def cost(self) -> float:
        """The model's pass, and about as much for the network."""
        return 2.0

    def fit(self, reference: Reference) -> Arrays:
        """The network, and which shifts are usual of honest rows.

        Raises:
            Unsuitable: torch is not installed, or the model has no gradient.
        """
        view, spec = reference.view, reference.spec
        self.refuse_unsuitable(spec, view.outputs)
        plain = view.outputs.logits
        assert plain is not None, "checked above"
        model = reference.differentiable(self.kind)
        arrays = DenoisingAutoencoderSpec.of(self).guided(view.x, spec, reference.effort, plain, model)
        if self.measure == "divergence":
            return arrays
        moved = view.rerun(self._autoencoder(arrays, spec).apply(view.x)).logits
        assert moved is not None, "the same model"
        return {**arrays, **Odds.fit(plain, moved).to_arrays("odds_")}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector with this network."""
        odds = Odds.from_arrays(arrays, "odds_") if self.measure == "odds" else None
        how = "odds" if odds is not None else f"divergence {self.temperature:g}"
        return AdversarialAutoencoder(self._autoencoder(arrays, spec), self.temperature, odds, f"{self.kind}[{how}]")

    def _autoencoder(self, arrays: Arrays, spec: InputSpec) -> Purifier:
        built = DenoisingAutoencoderSpec.of(self).build(spec, arrays)
        assert isinstance(built, DenoisingAutoencoder), "what the spec builds"
        return replace(built, name=f"guided-{built.name}")


def _log_softmax(logits: Array, temperature: float) -> Array:
    with np.errstate(invalid="ignore"):  # infinite logits
        z = logits / np.float32(temperature)
        z = z - z.max(axis=1, keepdims=True)
        return np.asarray(z - np.log(np.maximum(np.exp(z).sum(axis=1, keepdims=True), _SMALLEST)))
