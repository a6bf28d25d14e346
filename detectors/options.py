"""What a choice of evidence goes by, and what it is made among. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from models.batch import Array


@dataclass(frozen=True, slots=True)
class Terms:
    """`costs` (pieces,) are forward passes a row beyond the one that answers. `budgets`: shares of honest rows that may
    be flagged. `families`: indices of attacks that are alike. `limit` is the most forward passes a row on average, the
    first one and `spent` ones on other things counted in.
    """

    costs: tuple[float, ...]
    budgets: tuple[float, ...]
    families: tuple[tuple[int, ...], ...]
    limit: float | None = None
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Option:
    """A set of pieces: `free` ones on every row, and with them `costly` ones on the most suspicious `share` of honest
    rows, or on all.

    `found` (budgets, attacks) are shares of attacked rows, `unseen` the same where what was learned from had no attack
    of that family; `worn` (budgets,) of mildly worn rows. `value` is what options are compared by.
    """

    free: tuple[int, ...]
    costly: tuple[int, ...]
    share: float
    gate: tuple[int, ...]
    cost: float
    found: Array
    unseen: Array
    worn: Array
    value: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The option that was taken, and all that none was better and cheaper than, cheapest first."""

    taken: Option
    frontier: tuple[Option, ...]
