"""Spells of drift: each series alarms once when one begins, and is armed again after a whole window without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """`since` (series,) int64: the bucket in which the spell began, or -1; `quiet` (series,) rows without excess."""

    since: Array
    quiet: Array

    @staticmethod
    def none(series: int) -> Spells:
        """All series armed."""
        return Spells(np.full(series, -1, dtype=np.int64), np.zeros(series, dtype=np.int64))

    def after(self, over: Array, first: Array, rows: int, rearm_rows: int) -> tuple[Spells, Array, Array]:
        """After a step of `rows` rows; the indices of series whose spells start, and of those whose spells end.

        `over` (series,) bool says who is above the threshold, `first` (series,) since which bucket.
        """
        lasting = self.since >= 0
        quiet = np.where(over, 0, self.quiet + rows)
        started, ended = over & ~lasting, lasting & (quiet >= rearm_rows)
        since = np.where(started, first, np.where(ended, -1, self.since))
        return Spells(since, np.where(since >= 0, quiet, 0)), np.flatnonzero(started), np.flatnonzero(ended)
