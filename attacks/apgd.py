"""APGD: PGD in Linf that sets its own step.

Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (ICML
2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attacks.losses import Loss, Model, cross_entropy, dlr, margin, value_and_gradient
from attacks.pgd import in_ball, uniform_start
from models.batch import Bounds

_MOMENTUM = 0.75
_RISING = 0.75  # of the steps since a checkpoint must have raised the loss, or the step is halved


def apgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    bounds: Bounds,
    seed: int,
    steps: int = 50,
    loss: Literal["cross_entropy", "dlr"] | Loss = "cross_entropy",
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`: for each the misclassified one of highest margin
    seen on the way, else the one of highest loss.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `epsilon` is in units of `x`, one for all rows or anything
    that broadcasts to them. `seed` draws the start.
    """
    clean = x.detach()
    objective: Loss = {"cross_entropy": cross_entropy, "dlr": dlr}[loss] if isinstance(loss, str) else loss
    rows = uniform_start(clean, epsilon, bounds, seed)
    state = _State.start(rows, *value_and_gradient(model, rows, y, objective), y, epsilon)
    before = rows
    due, gap = _checkpoints(steps), 0
    for k in range(steps):
        ahead = in_ball(rows + state.step * state.slope.sign(), clean, epsilon, bounds)
        moved = rows + _MOMENTUM * (ahead - rows) + (1.0 - _MOMENTUM) * (rows - before) if k else ahead
        before, rows = rows, in_ball(moved, clean, epsilon, bounds)
        state.see(rows, *value_and_gradient(model, rows, y, objective), y)
        gap += 1
        if k + 1 in due:
            rows = state.checkpoint(rows, gap)
            gap = 0
    return state.found


@dataclass(slots=True)
class _State:
    """The best of each row so far: by loss, to restart from, and by margin, to answer with."""

    step: Tensor
    slope: Tensor
    loss: Tensor
    best: Tensor
    best_loss: Tensor
    best_slope: Tensor
    found: Tensor
    found_margin: Tensor
    rises: Tensor
    halved: Tensor
    loss_then: Tensor

    @staticmethod
    def start(rows: Tensor, logits: Tensor, loss: Tensor, slope: Tensor, y: Tensor, epsilon: float | Tensor) -> _State:
        zeros = torch.zeros_like(loss)
        step = 2.0 * epsilon * torch.ones_like(_wide(loss, rows))
        gaps = margin(logits, y)
        halved = zeros.bool()
        return _State(
            step,
            slope,
            loss,
            rows.clone(),
            loss.clone(),
            slope.clone(),
            rows.clone(),
            gaps,
            zeros,
            halved,
            loss.clone(),
        )

    def see(self, rows: Tensor, logits: Tensor, loss: Tensor, slope: Tensor, y: Tensor) -> None:
        """Takes in where a step led."""
        self.rises += loss > self.loss
        self.loss, self.slope = loss, slope
        better = loss > self.best_loss
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.best = torch.where(_wide(better, rows), rows, self.best)
        self.best_slope = torch.where(_wide(better, rows), slope, self.best_slope)
        gaps = margin(logits, y)
        wider = gaps > self.found_margin
        self.found_margin = torch.where(wider, gaps, self.found_margin)
        self.found = torch.where(_wide(wider, rows), rows, self.found)

    def checkpoint(self, rows: Tensor, gap: int) -> Tensor:
        """Halves the step of rows that got nowhere since the last one, and takes those back to their best."""
        stuck = (self.rises < _RISING * gap) | (~self.halved & (self.loss_then >= self.best_loss))
        wide = _wide(stuck, rows)
        self.step = torch.where(wide, self.step / 2.0, self.step)
        self.slope = torch.where(wide, self.best_slope, self.slope)
        self.loss = torch.where(stuck, self.best_loss, self.loss)
        self.halved, self.loss_then = stuck, self.best_loss.clone()
        self.rises = torch.zeros_like(self.rises)
        return torch.where(wide, self.best, rows)


def _wide(value: Tensor, rows: Tensor) -> Tensor:
    """(n,) as (n, 1, ...), to go with rows."""
    return value.reshape(-1, *[1] * (rows.ndim - 1))


def _checkpoints(steps: int) -> frozenset[int]:
    """The steps after which to look, ever closer together: shares 0, 0.22, 0.41, 0.57, ... as the paper has them."""
    shares = [0.0, 0.22]
    while shares[-1] < 1.0:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return frozenset(int(torch.tensor(share * steps).ceil()) for share in shares if 0.0 < share < 1.0)
