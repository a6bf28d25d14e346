"""A clock that never goes back, made of one that may."""

from __future__ import annotations

from dataclasses import dataclass

SLOW = 0.5  # the rate at which time goes on until a clock that was set back has caught up
STEP_S = 0.05  # how much the clock moves before its tick is kept


@dataclass(frozen=True, slots=True)
class Tick:
    """What was told last (`now`) and what the clock underneath said then, in seconds since 1970."""

    clock: float
    now: float

    def at(self, clock: float) -> Tick:
        """The tick when the clock says `clock`: the same time, or as much later than this one as can be known."""
        slowly = self.now + SLOW * max(0.0, clock - self.clock)
        return Tick(clock, max(clock, slowly))

    def is_worth_keeping(self, before: Tick) -> bool:
        """Whether so much has changed since `before` that others should know."""
        return abs(self.clock - before.clock) >= STEP_S
