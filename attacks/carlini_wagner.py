"""The smallest change in L2 that wins by a stated margin.

Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks (S&P 2017), with their margin loss, Adam and the
search for the balance of margin and size, all rows at once. Their change of variables is replaced by clipping to the
bounds: a tangent has no slope where a pixel is black, and most pixels of a digit are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.losses import Model, margin
from models.batch import Bounds

_AT_LEAST = 1e-6  # a tie is no win
_UP = 10.0  # how fast the balance rises while a row has never been won


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
) -> Tensor:
    """Rows that the model misclassifies by at least `confidence` in logits, near `x` in L2, inside `bounds`.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `confidence` is one for all rows or (n,), `step_size` in
    units of the bounds' width. A row that was never won comes back as it was. `searches` rounds of `steps` steps look
    for each row's `balance`. Nothing is drawn: `seed` changes nothing.
    """
    clean = x.detach()
    search = _Search.start(clean, balance)
    needed = torch.as_tensor(confidence, dtype=clean.dtype).clamp(min=_AT_LEAST)
    rate = step_size * (bounds.high - bounds.low)
    for _ in range(searches):
        search.begin()
        _descend(model, clean, y, search, bounds, needed, steps, rate)
        search.end()
    return search.best


def _descend(
    model: Model, clean: Tensor, y: Tensor, search: _Search, bounds: Bounds, needed: Tensor, steps: int, rate: float
) -> None:
    """One round of projected Adam for the balances at hand; each row moves by itself."""
    rows = clean.clone()
    first, second = torch.zeros_like(rows), torch.zeros_like(rows)
    for k in range(1, steps + 1):
        leaf = rows.clone().requires_grad_(True)
        with torch.enable_grad():
            gap = margin(model(leaf), y)
            size = (leaf - clean).flatten(1).square().sum(dim=1)
            loss = size + search.balance * (needed - gap).clamp(min=0.0)
            (slope,) = torch.autograd.grad(loss.sum(), leaf)
        search.see(rows, gap.detach() >= needed, size.detach())
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        move = (first / (1.0 - 0.9**k)) / ((second / (1.0 - 0.999**k)).sqrt() + 1e-8)
        rows = (rows - rate * move).clamp(bounds.low, bounds.high)


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
