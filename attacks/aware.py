"""PGD that knows the detectors: it looks for rows that fool the model and that no detector finds.

Each step goes up the misclassification and down the evidence, both with exact gradients. Restarts take turns between
two ways of putting them together: a weighted sum whose weight each row sets for itself (Carlini, Wagner: Adversarial
Examples Are Not Easily Detected, AISec 2017), and one at a time, each made orthogonal to the other (Bryniarski, Hingun,
Pachuca, Wang, Carlini: Evading Adversarial Example Detection Defenses with Orthogonal Projected Gradient Descent, ICLR
2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.evidence.base import Twin
from attacks.losses import margin
from attacks.passes import Passes
from attacks.pgd import in_ball, uniform_start
from models.batch import Bounds

Look = Callable[[Tensor], Passes]  # rows of unit space, all of them and in order, to what the chain sees

_MOMENTUM = 0.75
_CONFIDENCE = 1.0  # in logits: beyond it a row is fooled enough
_SLACK = 0.05  # of a watcher's scale: below its limit by that, a row is safe enough
_QUICK, _SLOW = 1.15, 0.9  # how a row's weight on the evidence rises while it is found, and falls while it is right


@dataclass(frozen=True, slots=True)
class Watcher:
    """A detector's twin; rows that score `limit` or more are found. `scale` is how far honest scores spread."""

    score: Twin
    limit: float
    scale: float


def aware(
    look: Look,
    x: Tensor,
    y: Tensor,
    watchers: Sequence[Watcher],
    *,
    epsilon: float | Tensor,
    bounds: Bounds,
    seed: int,
    steps: int = 120,
    restarts: int = 3,
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, that are misclassified and not found, where any
    could be had; else those nearest to it.

    `x` is (n, ...) in the space that `look` takes, `y` (n,) int64 class labels; `epsilon` is in units of `x`.
    """
    clean = x.detach()
    best = _Best.start(clean)
    for restart in range(restarts):
        start = clean if restart == 0 else uniform_start(clean, epsilon, bounds, seed + restart)
        _descend(look, clean, start, y, watchers, epsilon, bounds, steps, best, in_turn=restart % 2 == 1)
    return best.rows


def _descend(
    look: Look,
    clean: Tensor,
    rows: Tensor,
    y: Tensor,
    watchers: Sequence[Watcher],
    epsilon: float | Tensor,
    bounds: Bounds,
    steps: int,
    best: _Best,
    in_turn: bool,
) -> None:
    weight = torch.ones_like(_each(y.to(clean.dtype), clean))
    moved = torch.zeros_like(clean)
    for k in range(steps + 1):
        seen = _Seen.of(look, rows, y, watchers)
        best.see(rows, seen)
        if k == steps:
            return
        wrong = _each(seen.gap > 0.0, clean)
        found = _each(seen.excess > 0.0, clean)
        weight = (weight * torch.where(wrong, torch.where(found, _QUICK, 1.0), _SLOW)).clamp(1e-2, 1e2)
        up, down = _unit(seen.up), _unit(seen.down)
        if in_turn:
            way = torch.where(wrong, _unit(_apart(down, up)), _unit(_apart(up, down)))
        else:
            way = _unit(up + weight * down)
        moved = _MOMENTUM * moved + way
        size = epsilon * max(0.5 * (1.0 + math.cos(math.pi * k / steps)), 0.02) * 0.2
        rows = in_ball(rows + size * moved.sign(), clean, epsilon, bounds)


@dataclass(slots=True)
class _Seen:
    """Of each row: the margin of the wrong class, the evidence above the limits, and the slopes to follow."""

    gap: Tensor
    excess: Tensor
    up: Tensor
    down: Tensor

    @staticmethod
    def of(look: Look, rows: Tensor, y: Tensor, watchers: Sequence[Watcher]) -> _Seen:
        leaf = rows.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            passes = look(leaf)
            gap = margin(passes.outputs.logits, y)
            over = [(watcher.score(passes).to(gap.dtype) - watcher.limit) / watcher.scale for watcher in watchers]
            above = torch.stack(over, dim=1) if over else gap[:, None] * 0.0 - 1.0
            (up,) = torch.autograd.grad(gap.clamp(max=_CONFIDENCE).sum(), leaf, retain_graph=True)
            evidence = (above + _SLACK).clamp(min=0.0).sum()
            (down,) = torch.autograd.grad(-evidence, leaf, allow_unused=True)
        down = torch.zeros_like(up) if down is None else down
        return _Seen(gap.detach(), above.detach().amax(dim=1), torch.nan_to_num(up), torch.nan_to_num(down))


@dataclass(slots=True)
class _Best:
    """For each row the one that evades, or else comes nearest: by how far it is from both goals."""

    rows: Tensor
    badness: Tensor

    @staticmethod
    def start(clean: Tensor) -> _Best:
        return _Best(clean.clone(), torch.full((len(clean),), torch.inf, dtype=clean.dtype))

    def see(self, rows: Tensor, seen: _Seen) -> None:
        right, found = (-seen.gap).clamp(min=0.0), seen.excess
        evades = (seen.gap > 0.0) & (found < 0.0)
        badness = torch.where(evades, found.clamp(min=-1.0) - 1.0, right * 10.0 + found.clamp(min=0.0))
        better = badness < self.badness
        self.badness = torch.where(better, badness, self.badness)
        self.rows = torch.where(_each(better, rows), rows, self.rows)


def _each(values: Tensor, rows: Tensor) -> Tensor:
    """(n,) as (n, 1, ...), to go with rows."""
    return values.reshape(-1, *[1] * (rows.ndim - 1))


def _unit(slope: Tensor) -> Tensor:
    """Each row's slope at length 1; 0 stays 0."""
    length = slope.flatten(1).norm(dim=1)
    return slope / _each(torch.where(length > 0.0, length, 1.0), slope)


def _apart(way: Tensor, other: Tensor) -> Tensor:
    """Each row's way without its part along the other, which has length 1."""
    along = (way * other).flatten(1).sum(dim=1)
    return way - _each(along, way) * other
