"""Cuts that keep a budget of false positives, and how sure one may be of them. Pure.

Split conformal prediction (Vovk, Gammerman and Shafer 2005): the k-th smallest statistic of n honest rows, none of
which set anything else, has a share of later honest rows below it that is distributed as Beta(k, n + 1 - k) (Vovk
2012), whatever the statistic and the data; ties only lower it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from models.batch import Array

Guarantee = Literal["average", "set"]

CONFIDENCE = 0.95


class BudgetError(ValueError):
    """The calibrate rows can't support a budget."""


class TooFewRows(BudgetError):
    """A budget needs more calibrate rows. `needed` says how many."""

    def __init__(self, budget: float, guarantee: Guarantee, needed: int, found: int) -> None:
        super().__init__(
            f"a budget of {budget:.4g} (guarantee: {guarantee}) needs at least {needed} calibrate rows, found {found}"
        )
        self.budget = budget
        self.needed = needed
        self.found = found


class CertainRows(BudgetError):
    """More honest rows break the contract than the budget lets be refused."""

    def __init__(self, budget: float, certain: int, allowed: int, rows: int) -> None:
        super().__init__(f"{certain} of {rows} calibrate rows break it, a budget of {budget:.4g} allows {allowed}")
        self.certain = certain
        self.allowed = allowed
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Cut:
    """A row whose statistic is strictly below `value` is outside the budget: the k-th smallest of n honest ones, or
    less for the sake of honest rows with the wear `spared`, so that fewer are flagged than might be.
    """

    value: float
    k: int
    n: int
    budget: float
    guarantee: Guarantee
    spared: str = ""

    @property
    def mean_rate(self) -> float:
        """The share of honest rows below the cut, on average over calibration sets, is at most this."""
        return self.k / (self.n + 1)

    @property
    def upper_rate(self) -> float:
        """For this calibration set the share is at most this, with 95 % confidence."""
        return float(special.betaincinv(self.k, self.n + 1 - self.k, CONFIDENCE))

    def predicted(self, rows: int) -> tuple[int, int]:
        """The central 95 % interval of how many of so many fresh honest rows fall below the cut.

        It counts in that the cut itself is random: the number is beta-binomial.
        """
        below = np.cumsum(beta_binomial(self.k, self.n + 1 - self.k, rows))
        tail = (1.0 - CONFIDENCE) / 2.0
        low, high = np.searchsorted(below, [tail, 1.0 - tail])
        return 0 if self.spared else int(low), int(min(high, rows))


def cut(statistic: Array, budget: float, guarantee: Guarantee = "average") -> Cut:
    """The cut on the chain statistic for this budget; `statistic` (n,) of calibrate rows, small is suspicious.

    Raises:
        TooFewRows: not even the smallest statistic is rare enough.
        CertainRows: the cut would be 0, below which no statistic lies.
    """
    n = len(statistic)
    k = allowed_below(n, budget, guarantee)
    if k == 0:
        raise TooFewRows(budget, guarantee, rows_needed(budget, guarantee), n)
    value = float(np.partition(statistic, k - 1)[k - 1])
    if value <= 0.0:
        raise CertainRows(budget, int(np.count_nonzero(statistic <= 0.0)), k - 1, n)
    return Cut(value, k, n, budget, guarantee)


def allowed_below(n: int, budget: float, guarantee: Guarantee = "average") -> int:
    """The largest k such that the k-th smallest of n is a cut within budget; 0 if there is none."""
    k = int(np.floor(budget * (n + 1) + 1e-9))
    if guarantee == "average" or k == 0:
        return k
    ranks = np.arange(1, k + 1)
    over = 1.0 - special.betainc(ranks, n + 1 - ranks, budget)  # how likely this set's rate exceeds the budget
    return int(np.count_nonzero(over <= 1.0 - CONFIDENCE))


def rows_needed(budget: float, guarantee: Guarantee = "average") -> int:
    """The fewest calibrate rows that support the budget."""
    if guarantee == "average":
        n = int(np.ceil(1.0 / budget - 1.0 - 1e-9))
    else:
        n = int(np.ceil(np.log(1.0 - CONFIDENCE) / np.log1p(-budget)))
    while allowed_below(n, budget, guarantee) == 0:  # rounding, one step at most
        n += 1
    return n


def beta_binomial(a: float, b: float, rows: int) -> Array:
    """(rows + 1,) probabilities of 0, 1, ... of so many trials whose common probability is Beta(a, b)."""
    hits = np.arange(rows + 1)
    choose = -special.betaln(hits + 1, rows - hits + 1) - np.log(rows + 1)
    p: Array = np.exp(choose + special.betaln(hits + a, rows - hits + b) - special.betaln(a, b))
    return p


def clopper_pearson(hits: int, rows: int) -> tuple[float, float]:
    """The exact 95 % confidence interval of a rate of which `hits` in `rows` were seen (Clopper and Pearson 1934)."""
    tail = (1.0 - CONFIDENCE) / 2.0
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, rows - hits + 1, tail))
    high = 1.0 if hits == rows else float(special.betaincinv(hits + 1, rows - hits, 1.0 - tail))
    return low, high
