"""Random Fourier features of a row's cells, in fixed point: their sums add up exactly.

Rahimi, Recht: Random Features for Large-Scale Kernel Machines (NeurIPS 2007). The row is the vector of its cells'
normal scores, which is finite whatever the values are. Phases are whole numbers and cosines come from a table, so no
rounding depends on the batch or the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.batch import Array, Arrays

WAVES = 64
ONE = 2**20  # fixed point: a cosine of 1
_SCORE, _FREQUENCY, _TABLE = 2**8, 2**16, 2**12  # units a score, units a turn, entries a turn
_SHIFT = 12  # from score times frequency to a table's entry: 8 + 16 - 12 bits
_PAIRS = 2000
_COSINES = np.rint(np.cos(2.0 * np.pi * np.arange(_TABLE) / _TABLE) * ONE).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Fourier:
    """`scores` (series, cells), `frequencies` (series, waves), `phases` (waves,): float64 holding whole numbers."""

    scores: Array
    frequencies: Array
    phases: Array

    @staticmethod
    def fit(scores: Array, cells: Array, seed: int, waves: int = WAVES) -> Fourier:
        """A Gaussian kernel as wide as the median distance of two reference rows; `cells` (n, series) are theirs."""
        rng = np.random.default_rng(seed)
        whole = np.rint(scores * _SCORE)
        rows = _look_up(whole, cells[rng.integers(len(cells), size=2 * _PAIRS)]) / _SCORE
        squared = ((rows[:_PAIRS] - rows[_PAIRS:]) ** 2).sum(axis=1)
        width = np.sqrt(np.median(squared)) or 1.0
        turns = rng.standard_normal((len(scores), waves)) / (2.0 * np.pi * width)
        phases = rng.integers(0, _SCORE * _FREQUENCY, size=waves).astype(np.float64)
        return Fourier(whole, np.rint(turns * _FREQUENCY), phases)

    def with_scores(self, scores: Array) -> Fourier:
        """The same waves over other scores (series, cells)."""
        return replace(self, scores=np.rint(scores * _SCORE))

    def __call__(self, cells: Array) -> Array:
        """(n, waves) int64: cosines in units of 1 / ONE."""
        phase = _look_up(self.scores, cells) @ self.frequencies  # exact: whole numbers below 2^53
        phase += self.phases
        turned: Array = (phase.astype(np.int64) >> _SHIFT) & (_TABLE - 1)
        waves: Array = _COSINES[turned]
        return waves

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"scores": self.scores, "frequencies": self.frequencies, "phases": self.phases}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Fourier:
        """The features that `to_arrays` wrote."""
        return Fourier(arrays["scores"], arrays["frequencies"], arrays["phases"])


def _look_up(scores: Array, cells: Array) -> Array:
    rows: Array = scores[np.arange(scores.shape[0]), cells]
    return rows
