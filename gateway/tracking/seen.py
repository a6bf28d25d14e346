"""A request as the watchers beside the path see it: references only, nothing is copied."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.verdict import Judged
from models.batch import Array


@dataclass(slots=True)  # not frozen, which takes three times as long to make: one is made for every request
class Seen:
    """What `id` asked of `endpoint`, and what came of it.

    `judged` has the rows, the model's answer (`before` where rows were purified, else `outputs`) and the verdicts.
    """

    endpoint: str
    principal: str
    id: str
    judged: Judged

    @property
    def x(self) -> Array:
        """Its rows (n, *row shape)."""
        return self.judged.batch.x

    def __len__(self) -> int:
        return len(self.judged.batch.x)
