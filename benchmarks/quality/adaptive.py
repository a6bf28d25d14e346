"""The chain under an attack that knows it, model, detectors, thresholds and all: PGD with exact gradients of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attacks.aware import Watcher, aware
from attacks.evidence import NoTwin, twin_of
from attacks.feasible import UNIT
from attacks.making import Targets
from benchmarks.data import Labeled
from benchmarks.detection.judging import Found, found
from benchmarks.quality.effort import Effort
from benchmarks.statistics import Rate
from detectors.base import View
from gateway.chain import Chain, Stage
from gateway.training.examples import Sources
from models.batch import Batch

LEAK = 0.003  # of the slope of capped evidence, as self-play has it
HONEST_ROWS = 512


@dataclass(frozen=True)
class Adaptive:
    """Of `tried` rows, `fooled` were won by an attack that aimed below the cut for flagging; `found` is of those.

    `past` were won and not flagged, of all tried. `blind` names stages that the attack could not see.
    """

    chain: str
    fooled: Rate
    found: Found
    past: Rate
    blind: tuple[str, ...]


def adaptive(
    name: str, chain: Chain, sources: Sources, victims: Labeled, honest: Labeled, epsilon: float, effort: Effort
) -> Adaptive:
    """Attacks the chain on the first of these rows, all of which the model gets right."""
    rows = np.arange(min(effort.adaptive, len(victims)))
    targets = Targets.pick(sources.network, sources.feasible, Batch(victims.x.copy()), victims.y, rows)
    watchers, blind = watching(chain, honest)
    made = aware(
        targets.look, targets.x, targets.y, watchers,
        epsilon=epsilon, bounds=UNIT, seed=0, steps=effort.steps, restarts=effort.restarts,
    )  # fmt: skip
    x = targets.done("aware", made).x
    logits = chain.backend.predict(Batch(x)).logits
    assert logits is not None, "a model with gradients has logits"
    won = np.flatnonzero(logits.argmax(axis=1) != victims.y[rows])
    what = found(chain, x[won])
    past = Rate(len(won) - what.flagged.k, len(rows))
    return Adaptive(name, Rate(len(won), len(rows)), what, past, blind)


def watching(chain: Chain, honest: Labeled) -> tuple[list[Watcher], tuple[str, ...]]:
    """A watcher for each stage whose evidence has a gradient; the names of the others."""
    view = View(Batch(honest.x[:HONEST_ROWS].copy()), chain.backend)
    found = {stage.name: watcher(stage, chain.policy.flag_cut, view) for stage in chain.stages if not stage.shadow}
    blind = tuple(name for name, watching in found.items() if watching is None)
    return [watching for watching in found.values() if watching is not None], blind


def watcher(stage: Stage, cut: float, view: View) -> Watcher | None:
    """It finds what the stage alone would make the chain flag; None where its evidence has no gradient."""
    try:
        twin = twin_of(stage.detector, leak=LEAK)
    except NoTwin:
        return None
    limit = stage.tail.inverse(cut * stage.weight)
    spread = float(stage.detector.score(view).std())
    return Watcher(twin, limit, max(spread, 1e-3 * abs(limit), 1e-3))
