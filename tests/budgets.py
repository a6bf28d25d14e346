"""The law of split conformal prediction, held against a chain that was calibrated on many splits of the same rows.

On fresh rows the number below the cut is beta-binomial, whatever the scores; where scores tie it may be smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from detectors.base import View
from detectors.conformal import Guarantee, cut
from gateway.chain import collect
from gateway.config import Budget, StageConfig
from gateway.training.fitting import fit
from models.batch import Array, Batch
from tests.columns import Table, split

SPLITS = 200


@dataclass(frozen=True)
class Outcome:
    """What 200 splits gave: how many of `fresh` rows were below the cut of each, and the law they should follow."""

    hits: Array
    fresh: int
    k: int
    n: int

    @property
    def law(self) -> Any:
        return stats.betabinom(self.fresh, self.k, self.n + 1 - self.k)

    @property
    def excess(self) -> float:
        """How far the mean lies above the law's, in standard errors."""
        return float((self.hits.mean() - self.law.mean()) / (self.law.std() / np.sqrt(len(self.hits))))

    @property
    def fit(self) -> float:
        """The p-value of a Kolmogorov-Smirnov test against the law (of the randomized probability transform)."""
        rng = np.random.default_rng(0)
        below, upto = self.law.cdf(self.hits - 1), self.law.cdf(self.hits)
        return float(stats.kstest(below + rng.uniform(size=len(self.hits)) * (upto - below), "uniform").pvalue)

    def over(self, budget: float) -> tuple[float, float]:
        """The share of splits over budget, and the most it may be: as the law says, and three standard errors."""
        expected = float(self.law.sf(np.floor(budget * self.fresh)))
        slack = 3.0 * np.sqrt(expected * (1.0 - expected) / len(self.hits))
        return float((self.hits > budget * self.fresh).mean()), expected + slack


def outcomes(
    scores: Array, chain: Sequence[StageConfig], budget: float, rank: int, calibrate: int
) -> dict[Guarantee, Outcome]:
    """Calibrates the chain on 200 seeded splits, for both guarantees, and counts fresh rows below the cut."""
    hits: dict[Guarantee, list[int]] = {"average": [], "set": []}
    cuts = {}
    backend = Table(scores.shape[1])
    for seed in range(SPLITS):
        parts = split(scores, seed, rank, calibrate)
        fitted = fit(chain, backend, parts.read, Budget(flag=budget, reject=budget))
        fresh = Batch(scores[parts.rows["check"]])
        statistic = collect(tuple(s.stage for s in fitted.stages), View(fresh, backend)).statistic
        for guarantee in hits:
            cuts[guarantee] = cut(fitted.policy.calibrated, budget, guarantee)
            hits[guarantee].append(int((statistic < cuts[guarantee].value).sum()))
    return {g: Outcome(np.array(hits[g]), len(scores) - rank - calibrate, cuts[g].k, cuts[g].n) for g in hits}
