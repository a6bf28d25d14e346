"""The reference's own sums, and how far a window's lie from them in standard errors.

Every deviation counts the error of both sides, and is about standard normal if nothing drifted, whatever the window's
size. What "about" leaves open the simulation settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.drift.arrays import prefixed, under
from detectors.drift.bins import normal_scores
from detectors.drift.cells import ABOVE, BELOW, HIDDEN, INNER, MISSING, ORDERED, RARE, SEEN
from detectors.drift.encoder import Encoder
from detectors.drift.fourier import ONE
from detectors.drift.statistics.chi_square import chi_square
from detectors.drift.statistics.deviate import deviate
from detectors.drift.statistics.excess import excess
from detectors.drift.statistics.location import location
from detectors.drift.statistics.mmd import mmd
from detectors.drift.sums import Sums
from models.batch import Array, Arrays

# What is looked at: of every series the first three, of all series together the last.
SHIFT, SHAPE, OUTSIDE, JOINT = range(4)
KINDS = ("shift", "shape", "outside", "joint")


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """`scores` (series, cells) order the cells, 0 for series without; `trace`, `freedom`: the waves' noise."""

    sums: Sums
    scores: Array
    trace: float
    freedom: float

    @staticmethod
    def fit(encoder: Encoder, series: Sequence[Array]) -> Baseline:
        """Of reference rows with these values, (n,) each, on the encoder's bins."""
        cells, waves = encoder.encode(series)
        covariance = np.atleast_2d(np.cov(waves[cells[:, 0] != HIDDEN] / ONE, rowvar=False)) * 2.0 / waves.shape[1]
        trace, square = float(np.trace(covariance)), float((covariance**2).sum())
        freedom = trace * trace / square if square > 0.0 else 0.0
        return Baseline.of(encoder, Sums.of(cells, waves), trace, freedom)

    @staticmethod
    def of(encoder: Encoder, sums: Sums, trace: float, freedom: float) -> Baseline:
        """Of the reference's sums, with the noise of its waves."""
        return Baseline(sums, normal_scores(sums.counts) * encoder.ordered[:, None], trace, freedom)

    @property
    def series(self) -> int:
        """How many there are."""
        return len(self.scores)

    @property
    def kinds(self) -> Array:
        """(3 * series + 1,) int64: the kind of every deviation."""
        return np.append(np.repeat([SHIFT, SHAPE, OUTSIDE], self.series), JOINT)

    def deviations(self, counts: Array, waves: Array) -> Array:
        """(..., 3 * series + 1) float64 in standard errors, unsigned.

        Of windows that have `counts` (..., series, cells) and `waves` (..., waves).
        """
        moved = location(self.sums.counts[:, ORDERED], counts[..., ORDERED], self.scores[:, ORDERED])
        parts = [np.abs(moved), self._shape(counts), self._outside(counts), self._joint(counts, waves)]
        return np.concatenate(parts, axis=-1)

    def _shape(self, counts: Array) -> Array:
        reference = self.sums.counts[:, INNER]
        freedom = np.maximum((reference > 0).sum(axis=1) - 1, 0)
        found = deviate(chi_square(reference, counts[..., INNER]), freedom)
        return np.asarray(np.maximum(found, 0.0))

    def _outside(self, counts: Array) -> Array:
        n, m = _seen(self.sums.counts), _seen(counts)
        beside = [_beside(of) for of in (self.sums.counts, counts)]
        missing = [of[..., MISSING] for of in (self.sums.counts, counts)]
        found = [np.abs(excess(reference, n, window, m)) for reference, window in (beside, missing)]
        return np.asarray(np.maximum(*found))

    def _joint(self, counts: Array, waves: Array) -> Array:
        """(..., 1): the first series has all rows whose waves were added."""
        n, m = (_seen(of[..., 0, :]) for of in (self.sums.counts, counts))
        if self.freedom <= 0.0:
            return np.zeros((*m.shape, 1))
        found = mmd(self.sums.waves / ONE, n, waves / ONE, m) / (1.0 / np.maximum(n, 1) + 1.0 / np.maximum(m, 1))
        return np.asarray(np.maximum(deviate(found / self.trace * self.freedom, self.freedom), 0.0)[..., None])

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        noise = np.array([self.trace, self.freedom])
        return {"scores": self.scores, "noise": noise, **prefixed({"sums": self.sums.to_arrays()})}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Baseline:
        """The baseline that `to_arrays` wrote."""
        trace, freedom = map(float, arrays["noise"])
        return Baseline(Sums.from_arrays(under("sums", arrays)), arrays["scores"], trace, freedom)


def _seen(counts: Array) -> Array:
    """Rows whose value was looked at."""
    return np.asarray(counts[..., SEEN].sum(axis=-1))


def _beside(counts: Array) -> Array:
    return np.asarray(counts[..., BELOW] + counts[..., ABOVE] + counts[..., RARE])
