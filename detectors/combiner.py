"""Several pieces of evidence as one: how much each counts is learned from attacks on the protected model.

Each piece enters by how rare its score is among honest ones, at the high and at the low end. A logistic regression with
nonnegative weights (so that no rarer score ever makes a row less suspicious) adds them up. Stacking is Wolpert's
(Stacked Generalization, Neural Networks 1992); learning from the model's own attacks is as Grosse et al. (On the
(Statistical) Detection of Adversarial Examples, 2017) and Lee et al. (NeurIPS 2018) do.

Without attacks to learn from, the rarest piece counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from defenses.base import Unsuitable
from detectors.base import Detector, DetectorSpec, Need, Reference, View
from detectors.calibration import CERTAIN
from detectors.candidates import free, title
from detectors.contract import Contract
from detectors.evidence import AnyEvidenceSpec, EvidenceSpec
from detectors.examples import Examples
from detectors.rarity import Rarity
from detectors.remembering import fitted
from detectors.stacking import Scores, Stack
from models.backend import Outputs
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence: at the `knots` (k,) of its score it adds `logit` (k,), in between what lies between."""

    detector: Detector
    knots: Array
    logit: Array

    @property
    def moves(self) -> bool:
        """Whether its score makes any difference."""
        return bool(np.ptp(self.logit) > 0.0)

    def add(self, scores: Array) -> Array:
        """(n,) float64."""
        return np.asarray(np.interp(scores, self.knots, self.logit))


@dataclass(frozen=True, slots=True)
class Combiner:
    """The sum of all pieces, or where `rarest` the largest of them."""

    pieces: tuple[Piece, ...]
    rarest: bool
    name: str = "combiner"

    def score(self, view: View) -> Array:
        """(n,) float32; `CERTAIN` where a piece is."""
        certain = np.zeros(len(view), dtype=bool)
        logit = np.zeros(len(view))
        for piece in self.pieces:
            scores = piece.detector.score(view)
            certain |= scores >= CERTAIN
            added = piece.add(scores)
            logit = np.maximum(logit, added) if self.rarest else logit + added
        score = logit.astype(np.float32)
        score[certain] = CERTAIN
        return score

    def contributions(self, view: View) -> dict[str, Array]:
        """What each piece adds to the score, (n,) each, by the name of its detector."""
        return {piece.detector.name: piece.add(piece.detector.score(view)) for piece in self.pieces}


class CombinerSpec(DetectorSpec):
    """`evidence` are detectors; left out, all of `detectors.candidates` that suit the input and the model."""

    kind: Literal["combiner"] = "combiner"
    evidence: Annotated[tuple[AnyEvidenceSpec, ...], Field(min_length=1)] | None = None

    def fit(self, reference: Reference) -> Arrays:
        """What the pieces learn from the reference, and how much each counts, from the examples.

        Raises:
            Unsuitable: a listed piece can't work on this model or data, or none of the default ones can.
        """
        fitted, candidates = self._fitted(reference), self._candidates(reference.spec)
        detectors = [candidates[index].build(learned, reference.spec) for index, learned in fitted.items()]
        if reference.examples is None:
            arrays = _rarest([detector.score(reference.view) for detector in detectors], list(fitted))
        else:
            arrays = _learned(detectors, list(fitted), reference.examples)
        for index in arrays["used"].tolist():
            arrays |= {f"evidence{index}.{name}": array for name, array in fitted[index].items()}
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these pieces and weights."""
        candidates, pieces = self._candidates(spec), []
        for index in arrays["used"].tolist():
            prefix = f"evidence{index}."
            learned = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            rarity = Rarity.from_arrays(arrays, f"rarity{index}.")
            logit = rarity.pieces() @ arrays[f"weights{index}"]
            pieces.append(Piece(candidates[index].build(learned, spec), rarity.knots, logit))
        kept = [piece for piece in pieces if piece.moves or isinstance(piece.detector, Contract)] or pieces[:1]
        first = kept[0]
        kept[0] = Piece(first.detector, first.knots, first.logit + float(arrays["constant"]))
        return Combiner(tuple(kept), bool(arrays["rarest"]))

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """Which pieces there are and how much of what attacks are found by comes from each."""
        candidates, used = self._candidates(spec), arrays["used"].tolist()
        names = [title(candidates[index]) for index in used]
        if bool(arrays["rarest"]):
            listed = ", ".join(names)
            return (f"combiner: had no attacks to learn from; the rarest of {listed} counts",)
        parts = [f"{name} {share:.0%}" for name, share in zip(names, arrays["shares"], strict=True) if share >= 0.005]
        share = float(arrays["found"])
        found = f"combiner: finds {share:.0%} of the attacked rows it learned from, at 5 % of honest ones"
        return (f"combiner: what finds attacks comes from {', '.join(parts)}", found)

    @property
    def cost(self) -> float:
        """Of its listed pieces together; the default ones cost nothing."""
        return sum(piece.cost for piece in self.evidence or ())

    def needed(self) -> frozenset[Need]:
        """What its listed pieces need; the default ones look at layers too, and do without."""
        if self.evidence is None:
            return frozenset({"layers"})
        return self.needs.union(*(piece.needed() for piece in self.evidence))

    def code(self) -> Mapping[str, str]:
        """That of its listed pieces."""
        return {name: pin for piece in self.evidence or () for name, pin in piece.code().items()}

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """Refuses what a listed piece refuses; of the default ones, one must be left."""
        super().refuse_unsuitable(spec, outputs)
        for piece in self.evidence or ():
            piece.refuse_unsuitable(spec, outputs)

    def _candidates(self, spec: InputSpec) -> tuple[EvidenceSpec, ...]:
        return free(spec) if self.evidence is None else self.evidence

    def _fitted(self, reference: Reference) -> dict[int, Arrays]:
        """What each piece learned, by its place among the candidates; default ones that can't work are left out."""
        found = [_fit(piece, reference) for piece in self._candidates(reference.spec)]
        refused = [learned for learned in found if isinstance(learned, Unsuitable)]
        if refused and (self.evidence is not None or len(refused) == len(found)):
            raise refused[0]
        return {index: learned for index, learned in enumerate(found) if not isinstance(learned, Unsuitable)}


def _fit(piece: EvidenceSpec, reference: Reference) -> Arrays | Unsuitable:
    try:
        return fitted(piece, reference)
    except Unsuitable as error:
        return error


def _rarest(scores: Sequence[Array], used: Sequence[int]) -> dict[str, Array]:
    """Every piece's high end counts the same."""
    arrays: dict[str, Array] = {"used": np.array(used)}
    for index, found in zip(used, scores, strict=True):
        arrays |= Rarity.fit(found).to_arrays(f"rarity{index}.") | {f"weights{index}": np.array([1.0, 0.0, 0.0, 0.0])}
    return arrays | {"constant": np.array(0.0), "rarest": np.array(True)}


def _learned(detectors: Sequence[Detector], used: Sequence[int], examples: Examples) -> dict[str, Array]:
    """What the stack of these detectors keeps; `used` are their places among the candidates."""

    def scores(view: View) -> Array:
        return np.stack([detector.score(view) for detector in detectors], axis=1)

    honest = scores(examples.honest)
    worn = {kind: scores(view) for kind, view in examples.worn.items()}
    attacked = tuple(scores(view) for view in examples.attacked.values())
    stack = Stack.learn(Scores(honest, worn, attacked))
    arrays = {name: np.array(getattr(stack, name)) for name in ("constant", "shares", "found")}
    arrays |= {"used": np.array([used[piece] for piece in stack.pieces]), "rarest": np.array(False)}
    for piece, rarity, weights in zip(stack.pieces, stack.rarities, stack.weights, strict=True):
        arrays |= rarity.to_arrays(f"rarity{used[piece]}.") | {f"weights{used[piece]}": weights}
    return arrays
