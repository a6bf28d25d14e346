"""Made rows as requests that were judged, an endpoint watched for drift, and a store's clock that tests set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.rows import Watched
from gateway.tracking.seen import Seen
from gateway.tracking.storeclock import StoreClock
from gateway.verdict import Judged, Verdicts
from models.backend import Outputs
from models.batch import Batch, InputSpec
from tests import drifting

SPEC = InputSpec("table", np.dtype("float64"), (3,), missing=True)
START_S = 1_800_000_000.0


def watched(level: float = 5.0, every_s: float = 10.0, rows_per_second: float = 1e6, bundle: str = "v1") -> Watched:
    """Endpoint `m`, which has rows like `drifting.rows`."""
    return of(drifting.monitor(level), every_s, rows_per_second, bundle)


def of(monitor: Monitor, every_s: float = 10.0, rows_per_second: float = 1e6, bundle: str = "v1") -> Watched:
    return Watched("m", bundle, monitor, SPEC, every_s, rows_per_second)


def judged(rows: Rows, *, shadow: bool = False) -> Judged:
    """A request with these rows; flagged ones were rejected, unless the endpoint only watches."""
    assert rows.columns is not None
    assert rows.flagged is not None
    assert rows.logits is not None
    n = len(rows)
    wanted = rows.flagged.astype(np.uint8) * 2
    actions = np.zeros_like(wanted) if shadow else wanted
    verdicts = Verdicts(actions, wanted, np.ones(n), np.ones(n), np.full(n, -1), ())
    answered = shadow or not rows.flagged.all()
    return Judged(Batch(rows.columns), verdicts, Outputs({}, rows.logits) if answered else None)


def seen(rows: Rows, endpoint: str = "m", principal: str = "a") -> Seen:
    return Seen(endpoint, principal, "id", judged(rows))


def requests(rows: Rows, size: int) -> list[Seen]:
    """The rows as requests of so many."""
    return [seen(rows.take(slice(start, start + size))) for start in range(0, len(rows), size)]


class Time:
    """A clock that stands still until it is moved: the host's, the monotonic one, and so the store's."""

    def __init__(self) -> None:
        self.now = START_S
        self.passed = 1000.0

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds

    def to(self, now: float) -> None:
        self.move(now - self.now)

    def store(self, folder: Path) -> SqliteShared:
        return SqliteShared.open(folder, clock=lambda: self.now)

    def synced(self, steady_s: float = 100.0) -> StoreClock:
        """A clock that has followed the store for so long."""
        clock = StoreClock(lambda: self.passed)
        self.passed -= steady_s
        clock.sync(lambda: self.now - steady_s)
        self.passed += steady_s
        return clock
