"""Each series over time, thinned so that a picture shows it, and no peak is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.tracking.drift.reading import Drift
from gateway.tracking.drift.report import DriftAlarm, DriftStatus
from models.batch import Array

POINTS = 160


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One series: `times` (n,) in seconds since 1970 ascending, `statistics` and `thresholds` (n,), `drifted` (n,)."""

    name: str
    times: Array
    statistics: Array
    thresholds: Array
    drifted: Array
    alarms: tuple[DriftAlarm, ...] = ()

    @property
    def top(self) -> float:
        """The largest value to draw."""
        return float(max(self.statistics.max(initial=0.0), self.thresholds.max(initial=0.0), 1e-9))

    def spells(self) -> list[tuple[float, float]]:
        """From when to when it drifted, as far as was evaluated."""
        found: list[tuple[float, float]] = []
        steps = np.flatnonzero(np.diff(np.concatenate([[0], self.drifted.astype(np.int8), [0]])))
        for start, end in zip(steps[::2], steps[1::2], strict=True):
            found.append((float(self.times[start]), float(self.times[min(end, len(self.times) - 1)])))
        return found


def courses(drift: Drift, points: int = POINTS) -> dict[str, Course]:
    """Of the series of the newest evaluation; of neighboring evaluations the one in which a series is farthest."""
    if not drift.history:
        return {}
    names = [one.name for one in drift.history[-1].series]
    history = [status for status in drift.history if [one.name for one in status.series] == names]
    times = np.array([status.at_s for status in history])
    table = np.array([_numbers(status) for status in history])  # (evaluations, series, 3)
    kept = _peaks(table, points)
    bundle = drift.history[-1].bundle
    recent = [alarm for alarm in drift.alarms if alarm.bundle == bundle and times[0] <= alarm.at_s <= times[-1]]
    return {
        name: Course(
            name,
            times[kept[:, index]],
            table[kept[:, index], index, 0],
            table[kept[:, index], index, 1],
            table[kept[:, index], index, 2] > 0.0,
            tuple(alarm for alarm in recent if alarm.series == name),
        )
        for index, name in enumerate(names)
    }


def _numbers(status: DriftStatus) -> Sequence[tuple[float, float, float]]:
    return [(one.statistic, one.threshold, float(one.drifted)) for one in status.series]


def _peaks(table: Array, points: int) -> Array:
    """(groups, series) int64: of each group of neighbors the row that is farthest, for each series."""
    levels = table[:, :, 0] / np.maximum(table[:, :, 1], 1e-12)
    groups = np.array_split(np.arange(len(table)), min(points, len(table)))
    return np.stack([group[0] + levels[group].argmax(axis=0) for group in groups])
