"""Streams through a monitor: how long it is silent without drift, how soon it speaks with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.drift.subjects import Subject
from detectors.drift.design import design
from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from detectors.drift.replay import largest_deviations, levels, step_sums
from detectors.drift.schedule import Schedule
from models.batch import Array

REFERENCE_ROWS = 8_000
CENSORED = 3  # times what was asked for: a stream is no longer


@dataclass(frozen=True)
class RunLengths:
    """Rows watched up to each stream's first alarm or its end, summed, and how many streams had one."""

    streams: int
    rows: int
    alarms: int

    @property
    def average(self) -> float:
        """Rows watched over alarms seen: the most likely average where some streams ended without an alarm."""
        return self.rows / max(self.alarms, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, for a constant rate of alarms."""
        spread = float(np.exp(1.96 / np.sqrt(max(self.alarms, 1))))
        return self.average / spread, self.average * spread


def split(subject: Subject, seed: int) -> tuple[Rows, Rows]:
    """A random reference and, apart from it, rows that streams are drawn from."""
    order = np.random.default_rng(seed).permutation(len(subject.unseen))
    return subject.unseen.take(order[:REFERENCE_ROWS]), subject.unseen.take(order[REFERENCE_ROWS:])


def designed(subject: Subject, reference: Rows, schedule: Schedule, seed: int) -> Monitor:
    """The monitor that `calibrate` would make of these rows."""
    return design(reference, schedule, projection=subject.projection, columns=subject.columns, seed=seed)


def run_lengths(
    subject: Subject, schedule: Schedule, splits: int, streams: int, tell: Callable[[str], None]
) -> RunLengths:
    """Of `streams` streams in each of `splits` random splits, drawn with replacement and cut at `CENSORED` times."""
    rows = alarms = 0
    steps = CENSORED * schedule.false_alarm_rows // schedule.step_rows
    for seed in range(splits):
        reference, rest = split(subject, seed)
        monitor = designed(subject, reference, schedule, seed)
        rng = np.random.default_rng(1000 + seed)
        cells, waves = monitor.encoder.encode(monitor.encoder.series(rest))
        for _ in range(streams):
            passed = _passed(monitor, cells, waves, rng.integers(len(cells), size=(steps, schedule.step_rows)))
            rows += (int(passed.argmax()) + 1 if passed.any() else steps) * schedule.step_rows
            alarms += bool(passed.any())
        found = RunLengths((seed + 1) * streams, rows, alarms)
        tell(f"{subject.name}, 1 in {schedule.false_alarm_rows}: split {seed + 1}, so far {found.average:,.0f}")
    return found


def delays(subject: Subject, monitor: Monitor, rest: Rows, trials: int) -> Iterator[tuple[str, Array]]:
    """Of every drift: rows from the change to the alarm, (trials,), infinite without one in 6,000 rows.

    The change comes after about 2,000 rows without drift, at any place in a step. Trials with an alarm before it are
    left out: those are false alarms, counted elsewhere.
    """
    step, after = monitor.schedule.step_rows, 6_000
    honest = monitor.encoder.encode(monitor.encoder.series(rest))
    for name, drifted in subject.drifts.items():
        found = monitor.encoder.encode(monitor.encoder.series(drifted))
        cells, waves = (np.concatenate(pair) for pair in zip(honest, found, strict=True))
        rng, rows = np.random.default_rng(7), []
        for _ in range(trials):
            before = 2_000 + int(rng.integers(step))
            late = len(honest[0]) + rng.integers(len(drifted), size=after)
            picked = np.concatenate([rng.integers(len(honest[0]), size=before), late])
            picked = picked[: len(picked) // step * step].reshape(-1, step)
            passed = _passed(monitor, cells, waves, picked)
            quiet = before // step
            if not passed[:quiet].any():
                rows.append((quiet + passed[quiet:].argmax() + 1) * step - before if passed.any() else np.inf)
        yield name, np.array(rows)


def _passed(monitor: Monitor, cells: Array, waves: Array, picked: Array) -> Array:
    counts, sums = step_sums(cells, waves, picked)
    found = largest_deviations(monitor.baseline, monitor.schedule, counts, sums)
    return np.asarray(levels(monitor.thresholds, found) > monitor.thresholds.level)
