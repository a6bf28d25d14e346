"""Attacked rows to learn from: several attacks on the undefended model, each from barely to amply strong enough.

How strong that is differs between models by a factor of ten, so it is measured first: the smallest change with which
each of a few rows can be won.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.apgd import apgd
from attacks.attacked import Attacked
from attacks.boundary import boundary
from attacks.carlini_wagner import carlini_wagner
from attacks.effort import MOST_ROWS, Effort, affordable
from attacks.feasible import UNIT, Feasible
from attacks.fgsm import fgsm
from attacks.grid import still_adversarial
from attacks.losses import Model, margin
from attacks.network import Network
from attacks.passes import Passes
from attacks.patches import patches
from attacks.pgd import pgd
from defenses.axes import smooth_axes
from models.batch import Array, Batch

_PROBED = 64  # rows whose smallest change is measured, by so many halvings and steps
_HALVINGS, _PROBE_STEPS = 6, 10
_WEAKEST, _STRONGEST = 0.7, 6.0  # times what wins half the rows, and what wins nearly all
_SUREST = 1.5  # times the usual margin of honest rows
_HALF_THE_RANGE = 0.5  # a change beyond it makes another row


@dataclass(frozen=True, slots=True)
class Targets:
    """Rows that the model gets right, `of` which rows of the batch, in unit space, with their labels."""

    feasible: Feasible
    network: Network
    batch: Batch
    of: Array
    x: Tensor
    y: Tensor

    @staticmethod
    def pick(network: Network, feasible: Feasible, batch: Batch, y: Array, rows: Array) -> Targets:
        """These rows of a batch; `y` (n,) are the classes that an attack must leave."""
        part = batch.take(rows)
        return Targets(
            feasible, network, part, rows, feasible.to_unit(part.x), torch.tensor(y[rows], dtype=torch.int64)
        )

    @property
    def model(self) -> Model:
        """In unit space, for these rows."""
        return self.feasible.through(self.network.model(self.batch.extras), self.batch.x)

    def drawn(self, low: float, high: float, random: np.random.Generator) -> Tensor:
        """An epsilon for each row, log-uniform, of whole steps where all values share one."""
        drawn = low * (high / low) ** random.random(len(self.x))
        step = self.feasible.even_step
        drawn = drawn if step is None else np.maximum(np.rint(drawn / step), 1.0) * step
        return torch.tensor(drawn, dtype=self.x.dtype).reshape(-1, *[1] * (self.x.ndim - 1))

    def look(self, rows: Tensor) -> Passes:
        """What a chain would see of rows in unit space, of all these rows in their order."""
        return Passes(self.feasible.seen(self.batch.x)(rows), self.network, self.batch.extras)

    def part(self, rows: slice) -> Targets:
        """Only some of them."""
        return Targets(self.feasible, self.network, self.batch.take(rows), self.of[rows], self.x[rows], self.y[rows])

    def done(self, name: str, rows: Tensor) -> Attacked:
        """What an attack made of them."""
        return Attacked(name, self.feasible.from_unit(rows, self.batch.x), self.of)


def attacked(
    network: Network,
    feasible: Feasible,
    batch: Batch,
    y: Array,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str, int, int], None],
) -> Iterator[Attacked]:
    """Attacks on rows that the model gets right; `y` (n,) are the classes the model gives to them.

    How many rows is counted by what the model takes to calculate: a large one has fewer steps, then fewer rows.
    """
    order = np.random.default_rng(seed).permutation(len(batch))[:MOST_ROWS]
    targets = Targets.pick(network, feasible, batch, y, order)
    part = targets.part(slice(0, 2))
    effort, n = affordable(part.model, part.x, quick=quick)
    low, high = strengths(targets, seed)
    chosen = targets.part(slice(0, n))
    random = np.random.default_rng(seed + 1)
    jobs = _jobs(chosen, effort, low, high, random, seed)
    for index, (name, part, job) in enumerate(jobs):
        tell(f"attack {name}", index, len(jobs))
        yield part.done(name, job())
    tell("attack", len(jobs), len(jobs))


def _jobs(
    chosen: Targets, effort: Effort, low: float, high: float, random: np.random.Generator, seed: int
) -> list[tuple[str, Targets, Callable[[], Tensor]]]:
    """Each attack by name, the rows it is run on and how: the costly searches get half of the rows each."""
    model, x, y = chosen.model, chosen.x, chosen.y
    halves = chosen.part(slice(0, (len(x) + 1) // 2)), chosen.part(slice(len(x) // 2, len(x)))

    def epsilon() -> Tensor:
        return chosen.drawn(low, high, random)

    def smallest(part: Targets, sure: bool, tangent: bool = False) -> Tensor:
        with torch.no_grad():
            usual = float((-margin(part.model(part.x), part.y)).clamp(min=0.0).median())
        drawn = random.random(len(part.x)) if sure else np.zeros(len(part.x))
        return carlini_wagner(
            part.model,
            part.x,
            part.y,
            bounds=UNIT,
            confidence=torch.tensor(_SUREST * usual * drawn, dtype=x.dtype),
            steps=effort.carlini_wagner,
            searches=effort.searches,
            tangent=tangent,
        )

    axes = smooth_axes(chosen.network.spec)
    squares = [
        (
            "patches",
            chosen,
            lambda: patches(model, x, y, epsilon=epsilon(), bounds=UNIT, seed=seed, axes=axes, steps=effort.patches),
        )
    ]
    return [
        ("fgsm", chosen, lambda: fgsm(model, x, y, epsilon=epsilon(), bounds=UNIT)),
        ("pgd", chosen, lambda: pgd(model, x, y, epsilon=epsilon(), steps=effort.pgd, bounds=UNIT, seed=seed)),
        (
            "apgd",
            chosen,
            lambda: apgd(model, x, y, epsilon=epsilon(), bounds=UNIT, seed=seed, steps=effort.apgd, loss="dlr"),
        ),
        ("carlini_wagner", halves[0], lambda: smallest(halves[0], sure=False)),
        ("carlini_wagner_sure", halves[1], lambda: smallest(halves[1], sure=True)),
        ("carlini_wagner_tangent", halves[0], lambda: smallest(halves[0], sure=True, tangent=True)),
        ("boundary", chosen, lambda: boundary(model, x, y, bounds=UNIT, seed=seed, steps=effort.boundary)),
        *(squares if axes else []),
    ]


def smallest_epsilon(targets: Targets, seed: int) -> Array:
    """(n,) in units of the range: about the smallest change in Linf with which PGD wins each row; infinite for none."""
    model, x, y = targets.model, targets.x, targets.y
    lowest = max(targets.feasible.finest, 1e-4)
    low, high = torch.full((len(x),), lowest), torch.full((len(x),), _HALF_THE_RANGE)
    won_ever = torch.zeros(len(x), dtype=torch.bool)
    for _ in range(_HALVINGS):
        middle = (low * high).sqrt()
        epsilon = middle.reshape(-1, *[1] * (x.ndim - 1))
        found = pgd(model, x, y, epsilon=epsilon, steps=_PROBE_STEPS, bounds=UNIT, seed=seed)
        won = still_adversarial(model, found, y)
        high, low = torch.where(won, middle, high), torch.where(won, low, middle)
        won_ever |= won
    return np.where(won_ever.numpy(), high.numpy(), np.inf)


def strengths(targets: Targets, seed: int) -> tuple[float, float]:
    """The weakest and the strongest epsilon to attack with."""
    smallest = smallest_epsilon(targets.part(slice(0, _PROBED)), seed)
    won = smallest[np.isfinite(smallest)]
    if len(won) == 0:
        return _HALF_THE_RANGE / 8.0, _HALF_THE_RANGE
    low = max(_WEAKEST * float(np.median(won)), targets.feasible.even_step or 0.0, 1e-4)
    return low, max(min(_STRONGEST * float(np.quantile(won, 0.95)), _HALF_THE_RANGE), low)
