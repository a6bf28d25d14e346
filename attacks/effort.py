"""How much work goes into making attacks, counted and not timed: the same rows come out on any machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from attacks.losses import Model

MOST_ROWS, LEAST_ROWS = 600, 48
_BACKWARD = 3.0  # forward passes that a gradient takes, with its own
_LEAST_WORK = 1e6  # operations a row: below it, what a pass costs is not its arithmetic


@dataclass(frozen=True, slots=True)
class Effort:
    """Steps of each attack; `operations` are the floating-point operations that all of them together may take, about.

    `searches` for the balance of margin and size are made three times, of half of the rows each: with confidence,
    without, and by the tangent.
    """

    pgd: int
    apgd: int
    carlini_wagner: int
    searches: int
    boundary: int
    patches: int
    operations: float

    @property
    def passes(self) -> float:
        """Forward passes a row, over all attacks."""
        gradients = 2 + self.pgd + self.apgd + 1.5 * self.carlini_wagner * self.searches + self.boundary
        return _BACKWARD * gradients + self.patches

    def rows(self, operations: float) -> int:
        """How many rows can be attacked where a forward pass of one takes so many operations."""
        affordable = int(self.operations / (self.passes * max(operations, _LEAST_WORK)))
        return min(max(affordable, LEAST_ROWS), MOST_ROWS)


FULL = Effort(pgd=20, apgd=20, carlini_wagner=50, searches=5, boundary=10, patches=150, operations=8e12)
LEAN = Effort(pgd=10, apgd=10, carlini_wagner=30, searches=3, boundary=8, patches=60, operations=8e12)
QUICK = Effort(pgd=10, apgd=10, carlini_wagner=30, searches=3, boundary=8, patches=60, operations=1.5e12)


def operations(model: Model, x: Tensor) -> float:
    """Floating-point operations of a forward pass of these rows (n, ...), a row."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return float(counter.get_total_flops()) / max(len(x), 1)


def affordable(model: Model, x: Tensor, *, quick: bool) -> tuple[Effort, int]:
    """The most thorough effort with which enough rows can be attacked, and how many; `x` are a few for the model."""
    work = operations(model, x)
    if quick:
        return QUICK, min(QUICK.rows(work), MOST_ROWS // 3)
    for effort in (FULL, LEAN):
        n = effort.rows(work)
        if n >= MOST_ROWS // 2:
            break
    return effort, n
