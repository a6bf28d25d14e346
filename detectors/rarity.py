"""How rare a score is among honest ones, at either end: a piecewise linear function of it. Pure.

Within the data it follows the ranks, beyond the 90th percentile an exponential tail (peaks over threshold, Pickands
1975), as `detectors.calibration.TailMap` does; but it has no steps, so that gradients pass through it, and it is
from `CAP` on it grows only with the logarithm of the score: no single piece of evidence outvotes all others, and
extremes still don't tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.batch import Array, Arrays

CAP = 10.0  # of a tail probability of e^-10 / 2
_RANKS = 64  # knots within the data, each end
_TAIL_SHARE = 0.1
_DOUBLINGS, _GROWTH = 30, 0.1  # of the distance beyond the cap, and what each adds
OUTER = _DOUBLINGS + 3  # knots from the cap on, with the one before it


@dataclass(frozen=True, slots=True)
class Rarity:
    """How rare a score this `high` is, and one this `low`, at `knots` (k,) ascending: -log(2 p) of its tail probability
    p, or 0 on the other side of the median.

    Both (k,) are linear between the knots, constant beyond the outermost, which lie as far out as scores may go.
    """

    knots: Array
    high: Array
    low: Array

    @staticmethod
    def fit(scores: Array) -> Rarity:
        """The rarity of honest scores (n,), one or more, finite."""
        s = np.sort(np.asarray(scores, dtype=np.float64))
        up, high = _tail(s)
        down, low = _tail(-s[::-1])
        knots = np.unique(np.concatenate([up, -down]))
        return Rarity(knots, np.interp(knots, up, high), np.interp(knots, -down[::-1], low[::-1]))

    def pieces(self) -> Array:
        """(k, 4) the evidence at each knot: high end, its square, low end, its square, in units of order one."""
        return np.stack([self.high, _square(self.high), self.low, _square(self.low)], axis=1)

    def to_arrays(self, prefix: str) -> dict[str, Array]:
        """What a bundle keeps."""
        return {f"{prefix}knots": self.knots, f"{prefix}high": self.high, f"{prefix}low": self.low}

    @staticmethod
    def from_arrays(arrays: Arrays, prefix: str) -> Rarity:
        """The rarity that `to_arrays` wrote."""
        return Rarity(arrays[f"{prefix}knots"], arrays[f"{prefix}high"], arrays[f"{prefix}low"])


def _tail(s: Array) -> tuple[Array, Array]:
    """Knots and rarities of ascending scores `s` (n,), for the high end."""
    n = len(s)
    distinct, first = np.unique(s, return_index=True)
    rarity = _rarity(n - first, n)
    start = s[max(n - max(int(np.ceil(_TAIL_SHARE * n)), min(10, n // 2)) - 1, 0)]
    inside = distinct <= start
    knots, values = distinct[inside], rarity[inside]
    if len(knots) > _RANKS:
        picked = np.unique(np.searchsorted(values, np.linspace(values[0], values[-1], _RANKS)))
        knots, values = knots[picked], values[picked]
    excess = s[s > start] - start
    beyond = min(_rarity(len(excess), n), CAP - 1.0)  # what the tail starts with
    width = _scale(excess, s) * (CAP - beyond)
    doublings = np.arange(_DOUBLINGS + 1)
    ends = knots[-1] + width * np.append(1e-3, 2.0**doublings)
    grown = np.append(beyond + 1e-3 * (CAP - beyond), CAP + _GROWTH * doublings)
    return np.append(knots, ends), np.append(np.minimum(values, CAP), grown)


def _square(rarity: Array) -> Array:
    """The square up to `CAP` and its tangent there, in units of `CAP`."""
    return np.asarray(np.where(rarity <= CAP, rarity**2 / CAP, 2.0 * rarity - CAP))


def _rarity(at_least: Array | int, n: int) -> Any:
    """Of a score that so many of n reach."""
    return np.maximum(-np.log(2.0 * (1.0 + at_least) / (n + 1.0)), 0.0)


def _scale(excess: Array, scores: Array) -> float:
    """Mean excess, but at most twice what the median implies: one wild honest row must not blind the rest."""
    if len(excess):
        scale = min(float(excess.mean()), 2.0 * float(np.median(excess)) / np.log(2.0))
    else:
        scale = float(scores.std()) or max(1.0, abs(float(scores[-1])))
    return float(max(scale, 1e-6 * abs(float(scores[-1])), 1e-9))
