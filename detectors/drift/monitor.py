"""Folds closed buckets, in order, into readings and alarms.

Deciding is a function of the buckets' sums alone: whoever folds the same buckets in the same order, in one process or
after another has died, gets the same alarms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.drift.arrays import prefixed, under
from detectors.drift.baseline import KINDS, Baseline
from detectors.drift.cells import SEEN
from detectors.drift.encoder import TOGETHER, Encoder
from detectors.drift.reading import Folded, Reading
from detectors.drift.schedule import Schedule
from detectors.drift.state import State, Window
from detectors.drift.statistics.psi import psi as psi_of
from detectors.drift.sums import Sums
from detectors.drift.thresholds import Thresholds
from models.batch import Array, Arrays


@dataclass(frozen=True, slots=True, eq=False)
class Monitor:
    """All that is fixed at calibration. What changes is in `State`."""

    encoder: Encoder
    baseline: Baseline
    thresholds: Thresholds
    schedule: Schedule

    @property
    def names(self) -> tuple[str, ...]:
        """Of the series, and at the end of all of them together."""
        return (*self.encoder.names, TOGETHER)

    def start(self) -> State:
        """The state before the first bucket."""
        return State.new(self.encoder.zero(), len(self.names))

    def fold(self, state: State, bucket: int, sums: Sums) -> Folded:
        """The state after one more closed bucket, and what was read if a step ended with it.

        Buckets are numbered as the caller likes, ascending; those without rows may be left out.

        Raises:
            ValueError: the bucket is not after the last one.
        """
        state = state.with_bucket(bucket, sums)
        if state.pending.rows < self.schedule.step_rows:
            return Folded(state)
        ended_rows = state.pending.rows
        state = state.with_step(self.schedule.window_rows)
        readings = self._read(state)
        if not readings:
            return Folded(state)
        over = np.array([reading.level > self.thresholds.level for reading in readings])
        first = np.array([reading.first_bucket for reading in readings])
        spells, started, ended = state.spells.after(over, first, ended_rows, self.schedule.window_rows)
        readings = tuple(
            reading if since < 0 else replace(reading, since=int(since))
            for reading, since in zip(readings, spells.since, strict=True)
        )
        ranked = sorted((readings[index] for index in started), key=lambda reading: -reading.level)
        return Folded(
            replace(state, spells=spells), readings, tuple(ranked), tuple(readings[index].series for index in ended)
        )

    def _read(self, state: State) -> tuple[Reading, ...]:
        """One reading a series, of the window and kind that says most; none before the smallest window is full."""
        windows = state.windows(self.schedule.windows)
        if not windows:
            return ()
        full, kinds = np.arange(len(windows)), self.baseline.kinds
        found = self.baseline.deviations(
            np.stack([window.sums.counts for window in windows]), np.stack([window.sums.waves for window in windows])
        )
        levels = self.thresholds.levels(found, kinds, full[:, None])
        needed = self.thresholds.values(kinds, full[:, None])
        best = self._best(levels)
        moved = self._psi(windows, best)
        return tuple(
            Reading(
                series=name,
                kind=KINDS[kinds[entry]],
                statistic=float(found[which, entry]),
                threshold=float(needed[which, entry]),
                level=float(levels[which, entry]),
                psi=psi,
                rows=windows[which].sums.rows,
                first_bucket=windows[which].first_bucket,
            )
            for name, (which, entry), psi in zip(self.names, best, moved, strict=True)
        )

    def _best(self, levels: Array) -> list[tuple[int, int]]:
        """The window and deviation with the highest level of each series, and of all together."""
        windows, count = len(levels), self.baseline.series
        apart = levels[:, :-1].reshape(windows * 3, count)  # a row is a window and a kind
        which = apart.argmax(axis=0)
        entries = (which % 3) * count + np.arange(count)
        joint = (int(levels[:, -1].argmax()), 3 * count)
        return [*zip((which // 3).tolist(), entries.tolist(), strict=True), joint]

    def _psi(self, windows: list[Window], best: list[tuple[int, int]]) -> list[float]:
        """Of every series in its own window, on all cells; 0 for all together."""
        counts = [windows[which].sums.counts[series, SEEN] for series, (which, _) in enumerate(best[:-1])]
        return [*psi_of(self.baseline.sums.counts[:, SEEN], np.stack(counts)).tolist(), 0.0]

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        schedule = self.schedule
        numbers = np.array([schedule.window_rows, schedule.false_alarm_rows, schedule.step_rows], dtype=np.int64)
        parts = {
            "encoder": self.encoder.to_arrays(),
            "baseline": self.baseline.to_arrays(),
            "thresholds": self.thresholds.to_arrays(),
        }
        return {"schedule": numbers, **prefixed(parts)}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Monitor:
        """The monitor that `to_arrays` wrote."""
        return Monitor(
            Encoder.from_arrays(under("encoder", arrays)),
            Baseline.from_arrays(under("baseline", arrays)),
            Thresholds.from_arrays(under("thresholds", arrays)),
            Schedule(*(int(number) for number in arrays["schedule"])),
        )
