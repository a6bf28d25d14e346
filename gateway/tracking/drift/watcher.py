"""The watcher of drift: counts rows, some hundred at a time, and leaves the sums for the flusher."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from gateway.tracking.drift.rows import Summing, Watched, gather, pick
from gateway.tracking.drift.sums import UNPLACED, PendingSums
from gateway.tracking.rate import Rate
from gateway.tracking.seen import Seen
from gateway.tracking.storeclock import StoreClock
from gateway.verdict import Judged
from models.batch import Array

logger = logging.getLogger("watchgate.drift")

HOLD_S = 0.25  # how long rows may wait for others: many at once cost a tenth of what each costs alone
HOLD_ROWS = 1024  # and how many
CHUNK = 256  # rows counted without a breath
BREATH_S = 1e-4  # the interpreter lock is given up between chunks, or a request would wait for it
_SAY_S = 60.0  # how often it is said that rows are left out


class DriftWatcher:
    """A `Watcher`. Rows beyond an endpoint's rate are left out at random, whoever asked."""

    def __init__(
        self, watched: Sequence[Watched], pending: PendingSums, clock: StoreClock, seed: int | None = None
    ) -> None:
        self._lines = {each.endpoint: _Line(each, np.random.default_rng(seed)) for each in watched}
        self._pending = pending
        self._clock = clock

    @property
    def endpoints(self) -> Collection[str]:
        """See `Watcher`."""
        return self._lines.keys()

    def start(self) -> None:
        """Nothing has to be done."""

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        for each in seen:
            self._lines[each.endpoint].add(each.judged)

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        for line in self._lines.values():
            if line.due(now):
                line.count(self._pending, self._clock, now)
        return False

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        for line in self._lines.values():
            if time.monotonic() < deadline:
                line.count(self._pending, self._clock, time.monotonic())
            else:
                line.leave_out()

    def stats(self) -> dict[str, int]:
        """Rows counted, and left out as they were more than the rate."""
        total: Counter[str] = Counter()
        for line in self._lines.values():
            total.update(line.counts)
        return {f"drift_{what}": total[what] for what in ("rows", "unsampled_rows")}


class _Line:
    """One endpoint's rows on their way into sums."""

    def __init__(self, watched: Watched, rng: np.random.Generator) -> None:
        self._watched = watched
        self._summing = Summing(watched)
        self._rate = Rate(watched.rows_per_second)
        self._rng = rng
        self._held: list[Judged] = []
        self._rows = 0
        self._since: float | None = None
        self._said = float("-inf")
        self.counts: Counter[str] = Counter()

    def add(self, judged: Judged) -> None:
        self._held.append(judged)
        self._rows += len(judged.batch.x)

    def due(self, now: float) -> bool:
        """Whether those that wait are to be counted."""
        if not self._rows:
            return False
        if self._since is None:
            self._since = now
        return self._rows >= HOLD_ROWS or now - self._since >= HOLD_S

    def leave_out(self) -> None:
        self.counts["unsampled_rows"] += self._rows
        self._held, self._rows, self._since = [], 0, None

    def count(self, pending: PendingSums, clock: StoreClock, now: float) -> None:
        held, rows = self._held, self._rows
        self._held, self._rows, self._since = [], 0, None
        granted = self._rate.take(rows, now)
        if granted < rows:
            self._say(rows - granted, now)
        if not granted:
            return
        picked = None
        if granted < rows:
            held, picked = pick(held, self._rng.choice(rows, granted, replace=False))
        found = gather(held, self._watched, picked)
        if found.flagged_rows:
            self._keep(self._summing.flagged(found.flagged_rows).vector(), pending, clock)
        for start in range(0, found.allowed_rows, CHUNK):
            assert found.allowed is not None  # there are rows
            part = found.allowed.take(slice(start, start + CHUNK))
            sums = self._summing.allowed(part, min(CHUNK, found.allowed_rows - start))
            self._keep(sums.vector(), pending, clock)
            if start + CHUNK < found.allowed_rows:
                time.sleep(BREATH_S)

    def _keep(self, vector: Array, pending: PendingSums, clock: StoreClock) -> None:
        now = clock.now()
        pending.add(self._watched.key, UNPLACED if now is None else self._watched.bucket(now), vector)
        self.counts["rows"] += int(vector[0])

    def _say(self, left_out: int, now: float) -> None:
        self.counts["unsampled_rows"] += left_out
        if now - self._said > _SAY_S:
            self._said = now
            logger.warning(
                "endpoint %s: more than drift.rows_per_second, %g: a random share is counted (%d rows left out so far)",
                self._watched.endpoint,
                self._watched.rows_per_second,
                self.counts["unsampled_rows"],
            )
