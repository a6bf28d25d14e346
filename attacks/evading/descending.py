"""Gradient descent of the evidence while a row stays misclassified; rows that evade drop out.

Two ways of putting both goals together: a weighted sum whose multiplier each row sets for itself (Carlini, Wagner:
Adversarial Examples Are Not Easily Detected, AISec 2017), and one at a time, each made orthogonal to the other
(Bryniarski, Hingun, Pachuca, Wang, Carlini: Evading Adversarial Example Detection Defenses with Orthogonal Projected
Gradient Descent, ICLR 2022). Two kinds of steps: signs, as long for every value, and Adam, which leaves values alone
that hardly matter: evidence on how smooth a row is falls to no step by signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attacks.evading.scene import Aim, Scene, Seen, badness, each

_QUICK, _SLOW = 1.15, 0.9  # how a row's weight on the evidence rises while it is found, and falls while it is right
_MOMENTUM = 0.75
_SAFE = 0.02  # beyond both goals by that, the real chain will agree


@dataclass(frozen=True, slots=True)
class Plan:
    """How one descent goes. `size` is its first step, in units of a row's room. `textured`: values in
    flat places stay as they are.
    """

    steps: int
    aim: Aim
    turns: bool = False
    steps_by: Literal["sign", "adam"] = "adam"
    size: float = 0.1
    textured: bool = False


def descend(scene: Scene, start: Tensor, which: Tensor, plan: Plan) -> Tensor:
    """The best row met on the way from `start` (m, ...), for each of `which` (m,) rows of the scene."""
    best, worst = start.clone(), torch.full((len(which),), torch.inf, dtype=torch.float64)
    if len(which) == 0:
        return best
    mask = textured(scene.clean[which]) if plan.textured else None
    state = _State.start(start)
    live = torch.arange(len(which))
    for k in range(plan.steps + 1):
        at = which[live]
        seen = scene.seen(state.rows, at, plan.aim)
        found = badness(seen.gap.double(), seen.excess.double())
        better = found < worst[live]
        worst[live] = torch.where(better, found, worst[live])
        best[live] = torch.where(each(better, best), state.rows, best[live])
        open_ = ~((seen.gap > _SAFE) & (seen.excess < -_SAFE))
        if k == plan.steps or not bool(open_.any()):
            break
        if not bool(open_.all()):
            live, seen, state = live[open_], _part(seen, open_), state.part(open_)
            at = which[live]
        way = state.way(seen, plan)
        if mask is not None:
            way = way * mask[live]
        size = plan.size * max(0.5 * (1.0 + math.cos(math.pi * k / plan.steps)), 0.02)
        state.rows = scene.inside(state.rows + size * scene.room[at] * way, at)
    return best


@dataclass(slots=True)
class _State:
    """Rows on their way, and what each step remembers of those before it."""

    rows: Tensor
    weight: Tensor
    first: Tensor
    second: Tensor
    count: int = 0

    @staticmethod
    def start(rows: Tensor) -> _State:
        return _State(
            rows.clone(),
            torch.ones_like(each(rows.flatten(1)[:, 0], rows)),
            torch.zeros_like(rows),
            torch.zeros_like(rows),
        )

    def part(self, kept: Tensor) -> _State:
        return _State(self.rows[kept], self.weight[kept], self.first[kept], self.second[kept], self.count)

    def way(self, seen: Seen, plan: Plan) -> Tensor:
        """Where to go, of order one in each value."""
        wrong, found = each(seen.goal > 0.0, self.rows), each(seen.excess > -_SAFE, self.rows)
        self.weight = (self.weight * torch.where(wrong, torch.where(found, _QUICK, 1.0), _SLOW)).clamp(1e-2, 1e2)
        up, down = _unit(seen.up), _unit(seen.down)
        if plan.turns:
            raw = torch.where(wrong, _unit(_apart(down, up)), _unit(_apart(up, down)))
        else:
            raw = _unit(up + self.weight * down)
        self.count += 1
        if plan.steps_by == "sign":
            self.first = _MOMENTUM * self.first + raw
            return self.first.sign()
        self.first = 0.9 * self.first + 0.1 * raw
        self.second = 0.99 * self.second + 0.01 * raw.square()
        mean = self.first / (1.0 - 0.9**self.count)
        # One scale a row, not one a value: Adam's own would blow up what hardly matters.
        spread = (self.second / (1.0 - 0.99**self.count)).sqrt()
        usual = each(spread.flatten(1).amax(dim=1), self.rows)
        return mean / (spread + 0.1 * usual + 1e-12)


def _part(seen: Seen, kept: Tensor) -> Seen:
    return Seen(seen.gap[kept], seen.goal[kept], seen.excess[kept], seen.up[kept], seen.down[kept])


def textured(clean: Tensor) -> Tensor:
    """1 where a value differs from one of its neighbors, 0 in flat places; all 1 for rows without neighborhoods."""
    if clean.ndim < 4:
        return torch.ones_like(clean)
    height, width = clean.shape[-2:]
    flat = clean.reshape(-1, 1, height, width)
    high = torch.nn.functional.max_pool2d(flat, 3, stride=1, padding=1)
    low = -torch.nn.functional.max_pool2d(-flat, 3, stride=1, padding=1)
    return (high - low > 1e-3).to(clean.dtype).reshape(clean.shape)


def _unit(slope: Tensor) -> Tensor:
    """Each row's slope at length 1; 0 stays 0."""
    length = slope.flatten(1).norm(dim=1)
    return slope / each(torch.where(length > 0.0, length, 1.0), slope)


def _apart(way: Tensor, other: Tensor) -> Tensor:
    """Each row's way without its part along the other, which has length 1."""
    along = (way * other).flatten(1).sum(dim=1)
    return way - each(along, way) * other
