"""The smallest change in L2 that wins by a stated margin.

Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks (S&P 2017), with their margin loss, Adam and the
search for the balance of margin and size, all rows at once.

Their change of variables (`tangent`) has no slope where a value is at a bound, as most pixels of a digit are: what it
finds redraws the strokes and leaves the background alone. Clipping to the bounds finds smaller changes, a faint haze of
many values. Both are C&W to a defender, and they look nothing alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.losses import Model, margin
from models.batch import Bounds

_AT_LEAST = 1e-6  # a tie is no win
_UP = 10.0  # how fast the balance rises while a row has never been won
_INSIDE = 0.999999  # of the way to a bound: a tangent never reaches it
_TANGENT_STEP = 0.1  # in units of the tangent's argument, of which `_INSIDE` is 7


def carlini_wagner(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    bounds: Bounds,
    seed: int = 0,
    confidence: float | Tensor = 0.0,
    steps: int = 50,
    searches: int = 4,
    step_size: float = 0.03,
    balance: float = 1.0,
    tangent: bool = False,
) -> Tensor:
    """Rows that the model misclassifies by at least `confidence` in logits, near `x` in L2, inside `bounds`.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `confidence` is one for all rows or (n,), `step_size` in
    units of the bounds' width, for what is clipped: `tangent` has a step of its own. A row that was never won comes
    back as it was. `searches` rounds of `steps` steps look for each row's `balance`. Nothing is drawn: `seed` changes
    nothing.
    """
    clean = x.detach()
    search = _Search.start(clean, balance)
    needed = torch.as_tensor(confidence, dtype=clean.dtype).clamp(min=_AT_LEAST)
    space = _Tangent(bounds) if tangent else _Clipped(bounds, step_size)
    for _ in range(searches):
        search.begin()
        _descend(model, clean, y, search, space, needed, steps)
        search.end()
    return search.best


class _Clipped:
    """Rows as they are, put back inside the bounds after each step."""

    def __init__(self, bounds: Bounds, step_size: float) -> None:
        self.bounds, self.rate = bounds, step_size * (bounds.high - bounds.low)

    def enter(self, rows: Tensor) -> Tensor:
        """What is moved, of these rows."""
        return rows.clone()

    def leave(self, inner: Tensor) -> Tensor:
        """The rows of what was moved."""
        return inner

    def moved(self, inner: Tensor, move: Tensor) -> Tensor:
        """One step on."""
        return (inner - self.rate * move).clamp(self.bounds.low, self.bounds.high)


class _Tangent:
    """Rows as the hyperbolic tangent of what is moved, which can't leave the bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self.middle, self.half = (bounds.low + bounds.high) / 2.0, (bounds.high - bounds.low) / 2.0

    def enter(self, rows: Tensor) -> Tensor:
        """What is moved, of these rows."""
        return torch.atanh(_INSIDE * (rows - self.middle) / self.half)

    def leave(self, inner: Tensor) -> Tensor:
        """The rows of what was moved."""
        return self.middle + self.half * torch.tanh(inner)

    def moved(self, inner: Tensor, move: Tensor) -> Tensor:
        """One step on."""
        return inner - _TANGENT_STEP * move


def _descend(
    model: Model, clean: Tensor, y: Tensor, search: _Search, space: _Clipped | _Tangent, needed: Tensor, steps: int
) -> None:
    """One round of Adam for the balances at hand; each row moves by itself."""
    inner = space.enter(clean)
    first, second = torch.zeros_like(inner), torch.zeros_like(inner)
    for k in range(1, steps + 1):
        leaf = inner.clone().requires_grad_(True)
        with torch.enable_grad():
            rows = space.leave(leaf)
            gap = margin(model(rows), y)
            size = (rows - clean).flatten(1).square().sum(dim=1)
            loss = size + search.balance * (needed - gap).clamp(min=0.0)
            (slope,) = torch.autograd.grad(loss.sum(), leaf)
        search.see(rows.detach(), gap.detach() >= needed, size.detach())
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        move = (first / (1.0 - 0.9**k)) / ((second / (1.0 - 0.999**k)).sqrt() + 1e-8)
        inner = space.moved(inner, move)


@dataclass(slots=True)
class _Search:
    """The bisection of each row's balance, and the smallest change that won so far."""

    balance: Tensor
    low: Tensor
    high: Tensor
    best: Tensor
    best_size: Tensor
    won: Tensor

    @staticmethod
    def start(clean: Tensor, balance: float) -> _Search:
        zeros = torch.zeros(len(clean), dtype=clean.dtype, device=clean.device)
        never = torch.full_like(zeros, torch.inf)
        return _Search(zeros + balance, zeros, never, clean.clone(), never.clone(), zeros.bool())

    def begin(self) -> None:
        self.won = torch.zeros_like(self.won)

    def see(self, rows: Tensor, won: Tensor, size: Tensor) -> None:
        """Keeps what won with the smallest change."""
        self.won |= won
        better = won & (size < self.best_size)
        self.best_size = torch.where(better, size, self.best_size)
        self.best = torch.where(better.reshape(-1, *[1] * (rows.ndim - 1)), rows, self.best)

    def end(self) -> None:
        """Less weight on the margin where a row was won, more where it was not."""
        self.high = torch.where(self.won, torch.minimum(self.high, self.balance), self.high)
        self.low = torch.where(self.won, self.low, torch.maximum(self.low, self.balance))
        middle = (self.low + self.high) / 2.0
        self.balance = torch.where(self.high.isinf(), self.balance * _UP, middle)
