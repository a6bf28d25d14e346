"""How unusually the odds of another class move when the input is squeezed, which loses what an attack has added.

The statistic of Roth, Kilcher, Hofmann: The Odds are Odd (ICML 2019), of rows squeezed as Xu, Evans, Qi: Feature
Squeezing (NDSS 2018) do. It finds sure adversarial rows too, whose probabilities squeezing leaves about as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec
from defenses.catalogue import AnyPurifierSpec
from defenses.median import MedianSpec
from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable, View
from detectors.odds import MOST_SCORE, Odds
from detectors.squeezers import build_squeezers, median, train_squeezers
from models.batch import Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class SqueezedOdds:
    """The most unusual shift over all squeezers, in spreads of honest shifts."""

    squeezers: tuple[tuple[Purifier, Odds], ...]
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32."""
        plain = view.outputs.logits
        assert plain is not None, "fitted on a model with logits"
        score = np.full(len(plain), -MOST_SCORE, dtype=np.float32)
        for squeezer, odds in self.squeezers:
            moved = view.through(squeezer).logits
            assert moved is not None, "the same model"
            np.maximum(score, odds.score(plain, moved), out=score)
        return score


class SqueezedOddsSpec(DetectorSpec):
    """`squeezers` are purifiers; left out, images and series get a median. `feature_squeezing` shares its passes."""

    kind: Literal["squeezed_odds"] = "squeezed_odds"
    squeezers: Annotated[tuple[AnyPurifierSpec, ...], Field(min_length=1)] | None = None
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series", "table"})

    @property
    def cost(self) -> float:
        """One a squeezer."""
        return float(len(self.squeezers or (MedianSpec,)))

    def fit(self, reference: Reference) -> Arrays:
        """What the squeezers learn, and which shifts are usual of honest rows."""
        view = reference.view
        self.refuse_unsuitable(reference.spec, view.outputs)
        plain = view.outputs.logits
        assert plain is not None, "checked above"
        specs = self._squeezers(reference.spec)
        arrays = train_squeezers(specs, reference)
        for index, squeezer in enumerate(build_squeezers(specs, arrays, reference.spec)):
            moved = view.through(squeezer).logits
            assert moved is not None, "the same model"
            arrays |= Odds.fit(plain, moved).to_arrays(f"odds{index}_")
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """Raises `Unsuitable` where a squeezer can't work on this input."""
        built = build_squeezers(self._squeezers(spec), arrays, spec)
        odds = (Odds.from_arrays(arrays, f"odds{index}_") for index in range(len(built)))
        name = f"{self.kind}[{', '.join(squeezer.name for squeezer in built)}]"
        return SqueezedOdds(tuple(zip(built, odds, strict=True)), name)

    def _squeezers(self, spec: InputSpec) -> tuple[PurifierSpec, ...]:
        if self.squeezers is not None:
            return self.squeezers
        if spec.kind == "table":
            raise Unsuitable("squeezed_odds has no squeezers of its own for tables: list some as `squeezers`")
        return (median(spec),)
