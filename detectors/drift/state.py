"""What a monitor remembers between buckets: the last window's steps, the rows of the step under way, and the spells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.drift.spells import Spells
from detectors.drift.sums import Sums
from models.batch import Array, Arrays


@dataclass(frozen=True, slots=True)
class Window:
    """Sums of the latest buckets, from `first_bucket` on."""

    first_bucket: int
    sums: Sums


@dataclass(frozen=True, slots=True)
class State:
    """`bucket` is the last one folded, -1 before the first; `steps` are oldest first, `pending` is under way."""

    bucket: int
    pending: Sums
    pending_first: int
    steps: tuple[Window, ...]
    spells: Spells
    rows: int = 0

    @staticmethod
    def new(zero: Sums, series: int) -> State:
        """Before the first bucket."""
        return State(-1, zero, -1, (), Spells.none(series))

    def with_bucket(self, bucket: int, sums: Sums) -> State:
        """One more bucket in the step under way."""
        if bucket <= self.bucket:
            raise ValueError(f"expected a bucket after {self.bucket}, found {bucket}")
        first = self.pending_first if self.pending.rows else bucket
        return replace(
            self, bucket=bucket, pending=self.pending + sums, pending_first=first, rows=self.rows + sums.rows
        )

    def with_step(self, window_rows: int) -> State:
        """The step under way is over; steps that no window of `window_rows` rows reaches any more are forgotten."""
        steps = [*self.steps, Window(self.pending_first, self.pending)]
        held = sum(step.sums.rows for step in steps)
        while held - steps[0].sums.rows >= window_rows:
            held -= steps.pop(0).sums.rows
        return replace(self, pending=self.pending - self.pending, pending_first=-1, steps=tuple(steps))

    def windows(self, sizes: Sequence[int]) -> list[Window]:
        """For each size, ascending, the fewest latest steps that hold so many rows; none for sizes not full."""
        found: list[Window] = []
        total: Sums | None = None
        for step in reversed(self.steps):
            total = step.sums if total is None else total + step.sums
            while len(found) < len(sizes) and total.rows >= sizes[len(found)]:
                found.append(Window(step.first_bucket, total))
        return found

    def to_arrays(self) -> dict[str, Array]:
        """What a store keeps: integers only."""
        held = [self.pending, *(step.sums for step in self.steps)]
        return {
            "numbers": np.array([self.bucket, self.pending_first, self.rows], dtype=np.int64),
            "first": np.array([step.first_bucket for step in self.steps], dtype=np.int64),
            "sums": np.stack([sums.vector() for sums in held]),
            "since": self.spells.since,
            "quiet": self.spells.quiet,
        }

    @staticmethod
    def from_arrays(arrays: Arrays) -> State:
        """The state that `to_arrays` wrote."""
        bucket, pending_first, rows = (int(number) for number in arrays["numbers"])
        series = len(arrays["since"]) - 1
        pending, *held = (Sums.from_vector(vector, series) for vector in arrays["sums"])
        steps = tuple(Window(int(first), sums) for first, sums in zip(arrays["first"], held, strict=True))
        return State(bucket, pending, pending_first, steps, Spells(arrays["since"], arrays["quiet"]), rows)
