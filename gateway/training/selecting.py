"""Selection: which evidence a chain needs, told from *train* rows and attacks made of them. Other rows are never read.

The chain that comes out: the contract, the out-of-domain guard with its own share of the budget, a combiner of free
evidence on every row, and where costly evidence pays, a combiner of both on the rows that look odd so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from detectors.base import Unsuitable, View
from detectors.candidates import free
from detectors.choosing import PRICE, choose, dear
from detectors.combiner import CombinerSpec
from detectors.contract import ContractSpec
from detectors.evidence import EvidenceSpec
from detectors.examples import Examples
from detectors.options import Choice, Terms
from detectors.remembering import RememberingReference, fitted
from detectors.stacking import Scores
from gateway.config import Budget, EndpointConfig, StageConfig
from gateway.configfile.entries import entry
from gateway.errors import OperatorError
from gateway.training.costs import purifying
from gateway.training.guarding import SHARE, Guard, Looked, choose_guard
from gateway.training.outside import strangers
from gateway.training.pareto import Pareto, line_share
from gateway.training.passes import Progress
from gateway.training.trying import HONEST, WORN, Tried, tried
from models.batch import Array

CLOSER = "closer_look"  # the stage that asks costly evidence
_OUTSIDE_ROWS = 300
_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("fgsm", "pgd", "apgd"),
    ("carlini_wagner", "carlini_wagner_sure", "carlini_wagner_tangent", "boundary"),
    ("square", "square_near"),
    ("coordinates", "coordinates_near"),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen chain; `pareto` is None where there were no attacks to judge by. `examples` have the wear that is
    spared.
    """

    stages: tuple[StageConfig, ...]
    pareto: Pareto | None
    notes: tuple[str, ...]
    examples: Examples | None = field(default=None, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values; `chain` as a config file has it."""
        pareto = None if self.pareto is None else self.pareto.to_json()
        return {"chain": [entry(stage) for stage in self.stages], "pareto": pareto}


def select(
    reference: RememberingReference,
    train: View,
    examples: Examples | None,
    settings: EndpointConfig,
    progress: Progress,
) -> Selection:
    """The chain for this model, told from `train` rows; from the settings only what chains are chosen by.

    Kinds of wear that it costs too much to spare are not spared where the settings leave that open.

    Raises:
        OperatorError: no evidence works on this model and these rows.
    """
    budget, limit = settings.budget, settings.cost
    some = train.take(np.arange(min(len(train), _OUTSIDE_ROWS)))
    made = strangers(some.x, reference.spec, reference.seed)
    outside = {f"outside:{kind}": View(some.batch.with_x(x), train.backend) for kind, x in made.items()}
    found = tried(reference, {**_views(train, examples), **outside}, progress)
    if not found:
        raise OperatorError("chain: no evidence works on this model and these rows; list stages instead of `auto`")
    spared, notes = examples, tuple[str, ...]()
    if examples is not None and settings.wear == "auto":
        known = free(reference.spec)
        spared, notes = _sparing([one for one in found if one.piece in known], examples, budget)
    guard = _guard(found, [] if spared is None else list(spared.worn), list(outside), budget)
    notes = (*notes, *_told(guard))
    head = _head(reference, [one for one in found if one.title in guard.pieces])
    if spared is None:
        return Selection((*head, StageConfig(detector=CombinerSpec(), name="combiner")), None, notes)
    with threadpool_limits(1):  # small products: threads cost more than they give
        terms = replace(_terms(found, spared, budget), limit=limit, spent=purifying(settings))
        choice = choose(_scores(found, spared), terms)
    if limit is not None and choice.taken.cost > limit:
        notes = (*notes, f"nothing keeps to {limit:g} forward passes a row")
    pareto = Pareto.of(choice, [one.title for one in found], list(spared.attacked), limit)
    return Selection((*head, *_combiners(found, choice)), pareto, (*pareto.notes(), *notes), spared)


def _views(train: View, examples: Examples | None) -> dict[str, View]:
    if examples is None:
        return {HONEST: train}
    worn = {WORN + kind: view for kind, view in examples.worn.items()}
    return {HONEST: examples.honest, **worn, **examples.attacked}


def sparing(
    reference: RememberingReference, examples: Examples, budget: Budget, progress: Progress
) -> tuple[Examples, tuple[str, ...]]:
    """The examples with only the wear that can be spared, and what a person should know of the rest.

    Told from what free evidence finds of the attacks, whichever stages the chain has.
    """
    found = tried(reference, _views(reference.view, examples), progress, free(reference.spec))
    return _sparing(found, examples, budget)


def _sparing(found: Sequence[Tried], examples: Examples, budget: Budget) -> tuple[Examples, tuple[str, ...]]:
    cheap = [replace(one, cost=0.0) for one in found]
    with threadpool_limits(1):
        costly = dear(_scores(cheap, examples), _terms(cheap, examples, budget))
    if not costly:
        return examples, ()
    left = {kind: view for kind, view in examples.worn.items() if kind not in costly}
    note = (
        f"wear: {' and '.join(costly)} may be found often, as sparing such rows would hide more than {PRICE:.0%} of "
        "the attacked ones; `wear: mild` spares them all the same"
    )
    return replace(examples, worn=left), (note,)


def _guard(found: Sequence[Tried], worn: Sequence[str], outside: Sequence[str], budget: Budget) -> Guard:
    looks = {
        one.title: Looked(
            one.scores[HONEST],
            {kind: one.scores[WORN + kind] for kind in worn},
            {kind.removeprefix("outside:"): one.scores[kind] for kind in outside},
        )
        for one in found
        if one.cost == 0.0
    }
    return choose_guard(looks, budget.reject)


def _told(guard: Guard) -> tuple[str, ...]:
    if not guard.pieces:
        return ("no evidence finds rows from outside the domain: there is no guard against them",)
    kinds = ", ".join(f"{line_share(share)} of {kind}" for kind, share in guard.found.items())
    return (f"guard against rows from outside the domain: {' and '.join(guard.pieces)}; rejects {kinds}",)


def _head(reference: RememberingReference, guards: Sequence[Tried]) -> tuple[StageConfig, ...]:
    """The contract where it suits, and the guard."""
    stages: list[StageConfig] = []
    try:
        fitted(ContractSpec(), reference)
        stages.append(StageConfig(detector=ContractSpec(), name="contract"))
    except (Unsuitable, ValueError):
        pass
    for one in guards:
        taken = [stage.detector.kind for stage in stages].count(one.piece.kind)
        name = f"{one.piece.kind}-{taken + 1}" if taken else one.piece.kind
        stages.append(StageConfig(detector=one.piece, name=name, weight=SHARE / len(guards)))
    return tuple(stages)


def _combiners(found: Sequence[Tried], choice: Choice) -> tuple[StageConfig, ...]:
    taken = choice.taken
    free: tuple[EvidenceSpec, ...] = tuple(found[piece].piece for piece in taken.free)
    costly = tuple(found[piece].piece for piece in taken.costly)
    gate = tuple(found[piece].piece for piece in taken.gate)
    both = CombinerSpec(evidence=(*free, *costly))
    if not costly or taken.share == 1.0:
        return (StageConfig(detector=both, name="combiner"),)
    return (
        StageConfig(detector=CombinerSpec(evidence=gate), name="combiner"),
        StageConfig(
            detector=CombinerSpec(evidence=(*free, *costly)),
            name=CLOSER,
            when="suspicious",
            share=round(taken.share, 4),
        ),
    )


def _scores(found: Sequence[Tried], examples: Examples) -> Scores:
    def stacked(kind: str) -> Array:
        return np.stack([one.scores[kind] for one in found], axis=1)

    worn = {kind: stacked(WORN + kind) for kind in examples.worn}
    return Scores(stacked(HONEST), worn, tuple(stacked(name) for name in examples.attacked))


def _terms(found: Sequence[Tried], examples: Examples, budget: Budget) -> Terms:
    names = list(examples.attacked)
    known = [tuple(names.index(name) for name in family if name in names) for family in _FAMILIES]
    others = [(index,) for index, name in enumerate(names) if not any(name in family for family in _FAMILIES)]
    return Terms(
        costs=tuple(one.cost for one in found),
        budgets=(budget.flag, budget.reject),
        families=(*(family for family in known if family), *others),
    )
