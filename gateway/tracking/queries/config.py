"""The key `queries` of an endpoint: whose queries are alike is marked, and what a marked principal gets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.strict import Strict

Step = Literal["flag", "slow", "coarsen", "refuse"]
Signature = Literal["pooled", "hashes"]


class QueriesConfig(Strict):
    """`rows` and `hours` bound what is remembered of a principal, `everybody` what of all together.

    A mark begins at the first of `steps` and goes one further with each `escalate_after` like queries; it ends
    `mark_minutes` after the last one.
    """

    signatures: Annotated[tuple[Signature, ...], Field(min_length=1)] = ("pooled", "hashes")
    similar: Annotated[int, Field(ge=2, le=16)] = 3  # earlier queries that must be like one
    rows: Annotated[int, Field(ge=16, le=4096)] = 512
    everybody: Annotated[int, Field(ge=0, le=65_536)] = 4096
    hours: Annotated[float, Field(gt=0)] = 24.0
    max_bytes: Annotated[int, Field(ge=2**20)] = 2**26
    rows_per_second: Annotated[float, Field(gt=0)] = 100.0  # a worker looks at; beyond it, every principal at a share
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] = ("slow", "refuse")
    escalate_after: Annotated[int, Field(ge=1)] = 10
    mark_minutes: Annotated[float, Field(gt=0)] = 60.0
    slow_ms: Annotated[float, Field(gt=0, le=60_000)] = 1000.0
    refuse_with: Literal[403, 429] = 429

    def step(self, alike: int) -> Step:
        """What a principal with so many like queries gets."""
        return self.steps[min(max(alike - 1, 0) // self.escalate_after, len(self.steps) - 1)]
