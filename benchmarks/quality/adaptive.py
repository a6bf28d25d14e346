"""The chain under an attack that knows it, model, detectors, thresholds and all: `attacks.evading`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.apgd import apgd
from attacks.evading import Effort as Strength
from attacks.evading import Known, evade
from attacks.feasible import UNIT
from attacks.making import Targets
from attacks.network import Network
from attacks.pgd import pgd
from benchmarks.data import Labeled
from benchmarks.detection.judging import Found, found
from benchmarks.quality.effort import Effort
from benchmarks.statistics import Rate
from detectors.base import View
from gateway.chain import Chain
from gateway.training.examples import Sources
from gateway.training.knowing import guides_of, judge_of, known_of, scene_of
from models.batch import Array, Batch

HONEST_ROWS = 512
NAIVE_STEPS = 40


@dataclass(frozen=True)
class Adaptive:
    """Of `tried` rows, `fooled` were won by an attack that aimed below the cut for flagging; `found` is of those.

    `past` were won and not flagged, of all tried; `naive_fooled` and `naive_past` the same for PGD and APGD, that know
    nothing of the chain. `blind` names stages that the attack could only ask. `by` counts what won the rows.
    """

    chain: str
    fooled: Rate
    found: Found
    past: Rate
    blind: tuple[str, ...]
    naive_fooled: Rate
    naive_past: Rate
    by: Mapping[str, int]


@dataclass(frozen=True)
class Attacker:
    """Who attacks these rows, all of which the model gets right, and knows the chain; `known` is what."""

    name: str
    chain: Chain
    targets: Targets
    honest: View
    known: Known
    strength: Strength

    @staticmethod
    def of(
        name: str, chain: Chain, sources: Sources, victims: Labeled, honest: Labeled, strength: Strength, rows: int
    ) -> Attacker:
        """On the first of the victims."""
        picked = np.arange(min(rows, len(victims)))
        network: Network = sources.network
        targets = Targets.pick(network, sources.feasible, Batch(victims.x.copy()), victims.y, picked)
        view = View(Batch(honest.x[:HONEST_ROWS].copy()), chain.backend)
        return Attacker(name, chain, targets, view, known_of(chain, view), strength)

    def within(self, epsilon: float, starts: Sequence[tuple[str, Tensor]] = ()) -> tuple[Adaptive, Tensor]:
        """What the attack makes of the rows with so much change, and these, to start from when more is allowed."""
        targets, chain = self.targets, self.chain
        naive = self._naive(epsilon)
        made = evade(
            scene_of(targets, self.known, chain, epsilon),
            seed=0,
            effort=self.strength,
            judge=judge_of(targets, chain),
            starts=(*naive, *starts),
            guides=guides_of(targets, chain, self.honest),
            finest=targets.feasible.finest,
        )
        fooled, past = self._judged(made.rows)
        judged = [self._judged(rows) for _, rows in naive]
        naive_fooled, naive_past = (np.any([masks[i] for masks in judged], axis=0) for i in (0, 1))
        n, won = len(past), self._sent(made.rows)[fooled]
        told = Adaptive(
            self.name,
            Rate(int(fooled.sum()), n),
            found(chain, won),
            Rate(int(past.sum()), n),
            self.known.blind,
            Rate(int(naive_fooled.sum()), n),
            Rate(int(naive_past.sum()), n),
            dict(Counter(name for name in made.by if name)),
        )
        return told, made.rows

    def _naive(self, epsilon: float) -> tuple[tuple[str, Tensor], ...]:
        """Rows by attacks that know the model alone."""
        t = self.targets
        return (
            ("PGD", pgd(t.model, t.x, t.y, epsilon=epsilon, steps=NAIVE_STEPS, bounds=UNIT, seed=0)),
            ("APGD", apgd(t.model, t.x, t.y, epsilon=epsilon, steps=NAIVE_STEPS, bounds=UNIT, seed=0, loss="dlr")),
        )

    def _sent(self, rows: Tensor) -> Array:
        return self.targets.feasible.from_unit(rows, self.targets.batch.x)

    def _judged(self, rows: Tensor) -> tuple[Array, Array]:
        """(n,) masks: the served model is wrong; and the served chain lets the row pass as well."""
        gap, excess = judge_of(self.targets, self.chain)(rows, torch.arange(len(rows)))
        fooled = (gap > 0.0).numpy()
        return fooled, fooled & (excess <= 0.0).numpy()


def adaptive(
    name: str, chain: Chain, sources: Sources, victims: Labeled, honest: Labeled, epsilon: float, effort: Effort
) -> Adaptive:
    """Attacks the chain on the first of these rows, all of which the model gets right."""
    attacker = Attacker.of(name, chain, sources, victims, honest, effort.strength, effort.adaptive)
    return attacker.within(epsilon)[0]
