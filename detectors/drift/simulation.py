"""The whole monitor run on streams without drift, made of reference rows, to set its thresholds.

A stream's reference is drawn anew, apart from the stream and as large as it will be, and bins are fitted to what was
drawn: so the reference's own error counts as it will in use, once for all windows of a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.drift.baseline import Baseline
from detectors.drift.encoder import Encoder
from detectors.drift.replay import largest_deviations, levels, step_sums
from detectors.drift.schedule import Schedule
from detectors.drift.sums import Sums
from detectors.drift.thresholds import Thresholds, gumbel
from models.batch import Array

# What is aimed at, in units of what was asked: the operator gets no more alarms than asked for, and few less.
AIM = 2.0
_REFERENCES, _STREAMS = 100, 2  # streams a reference
_MOST_ROWS = 40_000  # of a stream, unless the window needs more
_FEWEST_ALARMS = 30  # below so many the level comes from the law of the streams' maxima


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """`deviations` (streams, steps, kinds, windows) float32: the largest of every kind; `step_rows` between them."""

    deviations: Array
    step_rows: int


def simulate(encoder: Encoder, baseline: Baseline, series: Sequence[Array], schedule: Schedule, seed: int) -> Simulated:
    """Runs of the monitor on streams of reference rows, of which `series` (n,) each are the values."""
    rng = np.random.default_rng(seed)
    rows = max(min(schedule.false_alarm_rows, _MOST_ROWS), 4 * schedule.window_rows)
    steps = max(rows // schedule.step_rows, 1)
    values, found = np.stack(series), []
    for _ in range(_REFERENCES):
        drawn, cells, waves = _reference(encoder, baseline, values, rng)
        for _ in range(_STREAMS):
            picked = rng.integers(len(cells), size=(steps, schedule.step_rows))
            found.append(largest_deviations(drawn, schedule, *step_sums(cells, waves, picked)))
    return Simulated(np.stack(found), schedule.step_rows)


def _reference(
    encoder: Encoder, baseline: Baseline, values: Array, rng: np.random.Generator
) -> tuple[Baseline, Array, Array]:
    """The baseline of as many rows drawn anew, and all rows on its bins: their cells and waves, (n, ...) each."""
    n = values.shape[1]
    drawn = rng.integers(n, size=n)
    again = encoder.refitted(list(values[:, drawn]))
    cells, waves = again.encode(list(values))
    made = Baseline.of(again, Sums.of(cells[drawn], waves[drawn]), baseline.trace, baseline.freedom)
    return made, cells, waves.astype(np.int32)


def thresholds(simulated: Simulated, false_alarm_rows: int) -> Thresholds:
    """The level at which the simulated monitor alarms once in `AIM` times `false_alarm_rows` rows on average."""
    found = simulated.deviations
    laws = Thresholds.fit(np.where(np.isfinite(found), found, 0.0).max(axis=1))
    highest = np.maximum.accumulate(levels(laws, found), axis=1)
    return replace(laws, level=level_for(highest, simulated.step_rows, AIM * false_alarm_rows))


def level_for(highest: Array, step_rows: int, rows: float) -> float:
    """The level that is first passed after `rows` rows on average; `highest` (streams, steps) so far of every stream.

    Streams that end before they pass it count with all their rows: rows watched over alarms seen, which for a
    constant rate of alarms is the most likely average.
    """
    ends = np.sort(highest[:, -1])[::-1]
    few = min(_FEWEST_ALARMS, len(ends) - 1)
    reached = run_length(highest, step_rows, float(ends[few]))
    if reached < rows:
        return float(ends[few] + gumbel(ends)[1] * np.log(rows / reached))
    low, high = float(highest[:, 0].min()), float(ends[few])
    for _ in range(40):
        middle = (low + high) / 2.0
        low, high = (middle, high) if run_length(highest, step_rows, middle) < rows else (low, middle)
    return high


def run_length(highest: Array, step_rows: int, level: float) -> float:
    """Rows watched over alarms, each stream up to its first."""
    passed = highest > level
    alarmed = passed[:, -1]
    watched = np.where(alarmed, passed.argmax(axis=1) + 1, highest.shape[1])
    return float(watched.sum() * step_rows / max(int(alarmed.sum()), 1))
