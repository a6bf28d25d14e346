"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """`fast`, `slow`, `slowest`: rows attacked by attacks of that cost. `outside`: rows of each other kind.

    `adaptive` rows are attacked by the attack that knows the chain, in `steps` steps and so many `restarts`.
    """

    fresh: int
    fast: int
    slow: int
    slowest: int
    outside: int
    adaptive: int
    steps: int
    restarts: int
    harden: int
    quick: bool


FULL = Effort(4000, 400, 200, 60, 500, 80, 100, 2, 3, False)
QUICK = Effort(500, 30, 12, 4, 60, 12, 20, 2, 1, True)
