"""Many steps of a monitor at once: its deviations after every step of a stream that is known in advance."""

from __future__ import annotations

import numpy as np

from detectors.drift.baseline import KINDS, Baseline
from detectors.drift.cells import CELLS
from detectors.drift.schedule import Schedule
from detectors.drift.thresholds import Thresholds
from models.batch import Array


def step_sums(cells: Array, waves: Array, picked: Array) -> tuple[Array, Array]:
    """Counts (steps, series, cells) and waves (steps, waves) of the rows `picked` (steps, rows), as indices.

    `cells` (n, series) and `waves` (n, waves) are of all rows.
    """
    steps, size = picked.shape
    series = cells.shape[1]
    width = series * CELLS
    flat = (cells + CELLS * np.arange(series))[picked.ravel()]
    flat += np.repeat(np.arange(steps) * width, size)[:, None]
    counts = np.bincount(flat.ravel(), minlength=steps * width)
    sums = waves[picked.ravel()].reshape(steps, size, -1).sum(axis=1, dtype=np.int64)
    return counts.reshape(steps, series, CELLS), sums


def largest_deviations(baseline: Baseline, schedule: Schedule, counts: Array, waves: Array) -> Array:
    """(steps, kinds, windows) float32: the largest of every kind after every step; -inf while a window is not yet full.

    `counts` and `waves` are of steps of exactly `schedule.step_rows` rows.
    """
    counts, waves = (np.concatenate([np.zeros_like(part[:1]), part.cumsum(axis=0)]) for part in (counts, waves))
    steps, kinds = len(counts) - 1, baseline.kinds
    largest = np.full((steps, len(KINDS), len(schedule.windows)), -np.inf, dtype=np.float32)
    for index, rows in enumerate(schedule.windows):
        span = rows // schedule.step_rows
        if span > steps:
            continue
        found = baseline.deviations(counts[span:] - counts[:-span], waves[span:] - waves[:-span])
        for kind in range(len(KINDS)):
            largest[span - 1 :, kind, index] = found[:, kinds == kind].max(axis=1)
    return largest


def levels(thresholds: Thresholds, largest: Array) -> Array:
    """(..., steps) float64 of (..., steps, kinds, windows): what `thresholds.level` is compared with."""
    return np.asarray(((largest - thresholds.place) / thresholds.scale).max(axis=(-2, -1)), dtype=np.float64)
