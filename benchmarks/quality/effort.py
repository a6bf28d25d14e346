"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass

from attacks.evading import Effort as Strength


@dataclass(frozen=True)
class Effort:
    """`fast`, `slow`, `slowest`: rows attacked by attacks of that cost. `outside`: rows of each other kind.

    `adaptive` rows are attacked by the attack that knows the chain, with so much `strength`.
    """

    fresh: int
    fast: int
    slow: int
    slowest: int
    outside: int
    adaptive: int
    strength: Strength
    harden: int
    quick: bool


FULL = Effort(4000, 400, 200, 60, 500, 80, Strength(), 3, False)
QUICK = Effort(500, 30, 12, 4, 60, 12, Strength(20, 3, 1, 20), 1, True)
