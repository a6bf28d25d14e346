"""Scores to tail probabilities, and the gate of a conditional stage. Pure; both are frozen on rank rows.

The cuts on what comes out of this, and their guarantees, are in `conformal.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.batch import Array

# A score from here on is a broken contract: its tail probability is exactly 0. A power of two, exact in float32.
CERTAIN = 2.0**40

_TAIL_SHARE = 0.1  # of the rank scores that the exponential tail is fitted to
_TAIL_ROWS = 10  # and at least so many, where half the scores allow it
_DEEP = 600.0  # scales beyond the tail's start: from here exp() would run out of floats


@dataclass(frozen=True, slots=True, eq=False)
class TailMap:
    """How rare an honest score this high is: empirical up to the 90th percentile, an exponential tail above it.

    Peaks over threshold (Pickands 1975), with the exponential member of the family: within the data it follows the
    ranks, beyond it goes on falling, so that the most suspicious rows never tie.

    `knots` (k,) float64 are the distinct scores up to the tail's start; `levels` (k + 1,) float64 the probability of
    a score in (knots[i-1], knots[i]] or higher, the last one that of the whole tail; `scale` is the tail's, in units
    of the score.
    """

    knots: Array
    levels: Array
    scale: float

    @staticmethod
    def fit(rank_scores: Array, share: float = 1.0) -> TailMap:
        """The map of these honest scores, (n,).

        `share` is the share of all rows the scores come from: below 1 for a stage that runs only on some.

        Raises:
            ValueError: no score is left below `CERTAIN`, or one is not a number.
        """
        scores = np.sort(np.asarray(rank_scores, dtype=np.float64))
        if np.isnan(scores).any():
            raise ValueError("a rank score is not a number")
        scores = scores[scores < CERTAIN]
        n = len(scores)
        if n == 0:
            raise ValueError("no rank score below CERTAIN to fit a tail map on")
        tail_rows = max(int(np.ceil(_TAIL_SHARE * n)), min(_TAIL_ROWS, n // 2))
        start = scores[max(n - tail_rows - 1, 0)]
        knots, first = np.unique(scores[scores <= start], return_index=True)
        excess = scores[scores > start] - start
        at_least = np.append(n - first, len(excess))
        return TailMap(knots, share * ((1.0 + at_least) / (n + 1.0)), _scale(excess, scores))

    def __call__(self, scores: Array) -> Array:
        """(n,) float64 in [0, 1], nonincreasing in the score; exactly 0 from `CERTAIN` on and for what is no number."""
        index = self.knots.searchsorted(scores)
        p: Array = self.levels[index]
        top = index == len(self.knots)
        if np.count_nonzero(top):
            p[top] *= self._decay(np.asarray(scores)[top])
        return p

    def _decay(self, scores: Array) -> Array:
        z = (scores.astype(np.float64) - self.knots[-1]) / self.scale
        decay: Array = np.exp(-np.minimum(z, _DEEP))
        deep = ~(z < _DEEP)
        if deep.any():
            decay[deep] *= _DEEP / z[deep]  # still falling, and never 0 by rounding
        decay[~(scores < CERTAIN)] = 0.0
        return decay

    def inverse(self, p: float) -> float:
        """The smallest float32 score whose tail probability is below `p`: the threshold `p` means for this stage.

        -inf where every score is below, inf where none is.
        """
        if p <= 0.0:
            return np.inf
        index = int(np.argmax(np.append(self.levels, 0.0) < p))
        if index == 0:
            return -np.inf
        at = float(self.knots[min(index, len(self.knots)) - 1])
        if index > len(self.knots):  # inside the tail
            z = np.log(self.levels[-1] / p)
            at += self.scale * (z if z < _DEEP else _DEEP * np.exp(min(z - _DEEP, 100.0)))
        score = np.float32(min(at, CERTAIN))
        while score < CERTAIN and self(np.array([score]))[0] >= p:
            score = np.nextafter(score, np.float32(np.inf))
        return float(score)

    def to_arrays(self, prefix: str = "") -> dict[str, Array]:
        """What a bundle keeps."""
        return {
            f"{prefix}knots": self.knots,
            f"{prefix}levels": self.levels,
            f"{prefix}scale": np.array(self.scale),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, Array], prefix: str = "") -> TailMap:
        """The map that `to_arrays` wrote."""
        return TailMap(arrays[f"{prefix}knots"], arrays[f"{prefix}levels"], float(arrays[f"{prefix}scale"]))


def _scale(excess: Array, scores: Array) -> float:
    """Mean excess, but at most twice what the median implies: one wild honest row must not blind a stage."""
    if len(excess):
        scale = min(float(excess.mean()), 2.0 * float(np.median(excess)) / np.log(2.0))
    else:  # the top scores are all equal: fall by the spread below, or by the size of the score itself
        scale = float(scores.std()) or max(1.0, abs(float(scores[-1])))
    return float(max(scale, 1e-9 * abs(float(scores[-1])), 1e-30))


@dataclass(frozen=True, slots=True)
class Gate:
    """The rows a `when: suspicious` stage runs on: odd by the cheap statistic, and not so odd that all is clear."""

    low: float
    high: float

    @staticmethod
    def fit(rank_statistic: Array, share: float, settled: float) -> Gate:
        """Bounds on the cheap statistic (n,) of rank rows that let in `share` of them.

        `settled` is the share, at the suspicious end, that will be rejected without asking further.

        Raises:
            ValueError: the cheap statistic can't single out so few rows.
        """
        statistic = np.sort(rank_statistic)
        below = int(settled * len(statistic))
        above = below + max(round(share * len(statistic)), 1)
        gate = Gate(
            float(statistic[below]) if below else 0.0,
            float(statistic[above]) if above < len(statistic) else np.inf,
        )
        if not (gate(statistic) & (statistic > 0.0)).any():
            raise ValueError("the stages before it tell too few rows apart")
        return gate

    def __call__(self, statistic: Array) -> Array:
        """(n,) mask."""
        mask: Array = (statistic >= self.low) & (statistic < self.high)
        return mask
