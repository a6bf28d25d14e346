"""How far is too far, for every kind of deviation and every window: one level for the whole monitor.

Each (kind, window) has a law of its largest deviation over a stream without drift, a Gumbel law as of any maximum
(Fisher, Tippett 1928). In its units all alarm about equally often, and one `level` decides for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

_EULER = 0.5772156649015329
# Resampled rows show no value that the reference lacks, so laws of counts that stay 0 are too narrow: none is narrower.
_LEAST_PLACE, _LEAST_SCALE = 2.5, 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """`place` and `scale` (kinds, windows) of the laws, `level` the one to pass."""

    place: Array
    scale: Array
    level: float

    @staticmethod
    def fit(largest: Array) -> Thresholds:
        """Laws of `largest` (streams, kinds, windows), maxima of streams without drift; the level is yet to be set."""
        place, scale = gumbel(largest)
        return Thresholds(np.maximum(place, _LEAST_PLACE), np.maximum(scale, _LEAST_SCALE), np.inf)

    def levels(self, deviations: Array, kinds: Array, window: Array | int) -> Array:
        """(..., deviations) float64: these, of `window`, on the common scale; both broadcast against `kinds`."""
        return np.asarray((deviations - self.place[kinds, window]) / self.scale[kinds, window])

    def values(self, kinds: Array, window: Array | int) -> Array:
        """(..., deviations) float64: what each of them has to pass."""
        return np.asarray(self.place[kinds, window] + self.level * self.scale[kinds, window])

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"place": self.place, "scale": self.scale, "level": np.array(self.level)}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Thresholds:
        """The thresholds that `to_arrays` wrote."""
        return Thresholds(arrays["place"], arrays["scale"], float(arrays["level"]))


def gumbel(maxima: Array) -> tuple[Array, Array]:
    """Place and scale of the law of these maxima along the first axis, by probability-weighted moments.

    Landwehr, Matalas, Wallis: Probability Weighted Moments Compared with Some Traditional Techniques in Estimating
    Gumbel Parameters (1979).
    """
    ranked = np.sort(maxima, axis=0)
    n = len(ranked)
    weights = np.arange(n) / max(n - 1, 1)
    first = ranked.mean(axis=0)
    second = np.tensordot(weights, ranked, axes=1) / n
    scale = (2.0 * second - first) / np.log(2.0)
    return first - _EULER * scale, scale
