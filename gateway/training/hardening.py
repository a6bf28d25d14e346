"""Self-play: attack the chain as it is now, learn from what fooled the model, and again.

Adversarial training (Goodfellow et al. 2015, Madry et al. 2018), of the detectors instead of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from defenses.base import THOROUGH, Effort
from detectors.base import Reference, View
from detectors.examples import Examples
from detectors.remembering import RememberingReference
from gateway.chain import Chain
from gateway.config import Budget, StageConfig
from gateway.errors import OperatorError
from gateway.training.data import Rows
from gateway.training.examples import Made, Sources
from gateway.training.fitting import Part, Taught, fit
from models.batch import Array

if TYPE_CHECKING:
    from attacks.attacked import Attacked

ROWS, STEPS = 120, 60
QUICK_ROWS, QUICK_STEPS = 60, 30
_HONEST_ROWS = 300  # that tell the usual scores of each piece of evidence


def harden(
    made: Made,
    stages: Sequence[StageConfig],
    reference: Reference,
    *,
    rounds: int,
    budget: float,
    effort: Effort = THOROUGH,
) -> Made:
    """The examples with the rows of so many rounds more, one attack `aware-<round>` each.

    In each round the stages are calibrated for a `budget` of flagged rows on the honest examples alone, and attacked
    with `attacks.evading` by who knows everything about them.
    """
    if made.examples is None or rounds == 0:
        return made
    if made.sources is None:
        return replace(made, notes=(*made.notes, "not hardened: that takes gradients of the model"))
    known = _remembering(reference)
    examples, told, notes = made.examples, [], made.notes
    for index in range(1, rounds + 1):
        effort.progress("harden", index - 1, rounds)
        try:
            chain = _provisional(stages, known, examples, budget, index)
        except OperatorError as error:
            return replace(made, notes=(*made.notes, f"not hardened: {error}"))
        attack, past, blind = _played(made.sources, chain, examples.honest, index, effort.quick)
        if blind and index == 1:
            notes = (*notes, f"hardened without gradients of {', '.join(blind)}: the attack could only ask it")
        view = made.sources.won(attack)
        if view is None:
            break
        told.append(f"{past} of {len(attack.of)}")
        examples = replace(examples, attacked={**examples.attacked, attack.name: view})
    effort.progress("harden", rounds, rounds)
    note = f"hardened: attacks that know the chain got {', then '.join(told) or 'no'} rows past it"
    return replace(made, examples=examples, notes=(*notes, note))


def _remembering(reference: Reference) -> RememberingReference:
    """So that no round learns again what does not change."""
    if isinstance(reference, RememberingReference):
        return reference
    values = {field.name: getattr(reference, field.name) for field in fields(reference)}
    return RememberingReference(**values)


def _provisional(
    stages: Sequence[StageConfig], reference: RememberingReference, examples: Examples, budget: float, seed: int
) -> Chain:
    """The chain as it would be, had it only the honest examples to be calibrated on."""
    order = np.random.default_rng(seed).permutation(len(examples.honest))
    halves = np.array_split(order, 2)
    held = {"rank": halves[0], "calibrate": halves[1]}

    def read(part: Part) -> Rows:
        return Rows(examples.honest.batch.take(held[part]), None)

    backend = examples.honest.backend
    share = Budget(flag=budget, reject=budget / 2.0)
    fitted = fit(stages, backend, read, share, taught=Taught(examples, reference), seed=seed)
    return Chain(backend, tuple(stage.stage for stage in fitted.stages), fitted.policy)


def _played(
    sources: Sources, chain: Chain, honest: View, index: int, quick: bool
) -> tuple[Attacked, int, tuple[str, ...]]:
    """The attacked rows of a round, how many of them got past, and the stages that could only be asked."""
    from attacks import evading
    from attacks.making import Targets, strengths
    from gateway.training.knowing import guides_of, judge_of, known_of, scene_of

    rows, steps = (QUICK_ROWS, QUICK_STEPS) if quick else (ROWS, STEPS)
    picked: Array = np.random.default_rng(index).permutation(len(sources.batch))[:rows]
    targets = Targets.pick(sources.network, sources.feasible, sources.batch, sources.y, picked)
    epsilon = targets.drawn(*strengths(targets, index), np.random.default_rng(index))
    some = honest.take(np.random.default_rng(index).permutation(len(honest))[:_HONEST_ROWS])
    known = known_of(chain, some)
    found = evading.evade(
        scene_of(targets, known, chain, epsilon),
        seed=index,
        effort=evading.Effort(steps, descents=3, guides=0, rounds=0),
        judge=judge_of(targets, chain),
        guides=guides_of(targets, chain, some),
        finest=targets.feasible.finest,
    )
    return targets.done(f"aware-{index}", found.rows), int(found.evades.sum()), known.blind
