"""The adult classifier that benchmarks attack: a small network over amounts and codes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.adult import COLUMNS, NUMERIC
from benchmarks.data import CACHE, Labeled
from benchmarks.networks import Trained, fit_with_adam, once
from models.batch import Array

EPOCHS = 12


class Encoded(nn.Module):
    """Amounts as they lie among those of the training rows, codes as one of so many.

    A code k gives 1 at its place and falls off to 0 at k - 1 and k + 1, which is one-hot for whole numbers and has a
    gradient, as an attacker wants it. Amounts enter by their logarithm too: gains span five decades.
    """

    mean: Tensor
    spread: Tensor
    codes: Tensor
    column: Tensor

    def __init__(self, x: Array) -> None:
        super().__init__()
        amounts = self._amounts(torch.from_numpy(x[:, :NUMERIC]))
        self.register_buffer("mean", amounts.mean(0))
        self.register_buffer("spread", amounts.std(0))
        self.levels = [int(level) + 1 for level in x[:, NUMERIC:].max(axis=0)]
        codes = [torch.arange(count, dtype=torch.float32) for count in self.levels]
        self.register_buffer("codes", torch.cat(codes))
        column = torch.repeat_interleave(torch.arange(len(self.levels)), torch.tensor(self.levels))
        self.register_buffer("column", column)

    @property
    def width(self) -> int:
        """Values a row is encoded in."""
        return 2 * NUMERIC + sum(self.levels)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 14) to (n, width)."""
        amounts = (self._amounts(x[:, :NUMERIC]) - self.mean) / self.spread
        codes = x[:, NUMERIC:].index_select(1, self.column)
        return torch.cat([amounts, torch.relu(1.0 - (codes - self.codes).abs())], dim=1)

    @staticmethod
    def _amounts(x: Tensor) -> Tensor:
        return torch.cat([x, torch.relu(x).add(1.0).log()], dim=1)


def build(x: Array) -> nn.Sequential:
    """Two hidden layers over the encoded row; `x` are the training rows."""
    encoded = Encoded(x)
    hidden = [nn.Linear(encoded.width, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()]
    return nn.Sequential(encoded, *hidden, nn.Linear(32, 2))


def trained(train: Labeled, folder: Path = CACHE / "adult") -> Trained:
    """The network trained on these rows, from the cache where it was trained before."""
    fit = partial(fit_with_adam, train=train, epochs=EPOCHS, weight_decay=1e-4)
    return once(partial(build, train.x), fit, folder, (len(COLUMNS),))
