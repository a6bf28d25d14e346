"""For each row the one that evades, or else comes nearest to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.evading.scene import Judge, badness, each


@dataclass(slots=True)
class Best:
    """Of all rows (n, ...), and how far each is from evading, by one judge."""

    rows: Tensor
    badness: Tensor
    fooled: Tensor  # (n,) whether the model was ever wrong, found or not
    judge: Judge
    hopeless: Tensor  # (n,) rows that are given up

    @staticmethod
    def start(clean: Tensor, judge: Judge) -> Best:
        """Nothing found yet."""
        never = torch.zeros(len(clean), dtype=torch.bool)
        return Best(
            clean.clone(), torch.full((len(clean),), torch.inf, dtype=torch.float64), never, judge, never.clone()
        )

    @property
    def left(self) -> Tensor:
        """(m,) the rows that don't evade yet, without those that are given up."""
        return torch.nonzero((self.badness >= 0.0) & ~self.hopeless)[:, 0]

    def give_up(self) -> None:
        """Leaves alone what did not even fool the model so far."""
        self.hopeless |= ~self.fooled

    def offer(self, rows: Tensor, which: Tensor) -> Tensor:
        """Takes what is better than before; (m,) mask of those."""
        if len(which) == 0:
            return torch.zeros(0, dtype=torch.bool)
        gap, excess = (part.double() for part in self.judge(rows, which))
        self.fooled[which] |= gap > 0.0
        found = badness(gap, excess)
        better = found < self.badness[which]
        self.badness[which] = torch.where(better, found, self.badness[which])
        self.rows[which] = torch.where(each(better, rows), rows, self.rows[which])
        return better
