"""CPU of counting rows for drift: the request path's share, and that of the threads beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from detectors.drift.encoder import Rows
from gateway.state.shared.sqlite import SqliteShared
from gateway.telemetry.observation import ChainInfo, Observation
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.flusher import DriftFlusher
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.drift.watcher import DriftWatcher
from gateway.tracking.exchange import EVERY_S, Exchange
from gateway.tracking.partner import Partner
from gateway.tracking.seen import Seen
from gateway.tracking.storeclock import StoreClock
from gateway.tracking.tracker import PAUSE_S, Tracker
from gateway.verdict import Judged, Verdicts
from models.backend import Outputs
from models.batch import Array, Batch

_ROUNDS = 20
_AT_ONCE = 4000  # fewer than wait at most
_POOL = 4096  # requests made in advance, used again and again


@dataclass(frozen=True)
class Beside:
    """Microseconds of CPU a row, in the thread that counts and in the one that talks to the store; megabytes grown.

    Of `rows`, the share `left_out` was beyond the endpoint's rate.
    """

    rows: int
    per_second: int
    left_out: float
    counting_us: float
    store_us: float
    grown_mb: float
    evaluations: int

    @property
    def us(self) -> float:
        """Of both threads."""
        return self.counting_us + self.store_us


class Hand:
    """Time that passes as it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def request_us(judged: Judged) -> float:
    """Microseconds on the request path for one request: the best of twenty rounds."""
    seen = Observation("id", ChainInfo("m", "v", "enforce", 0.0, 0.0, ()), 0, 0, "a", "", 200, judged)
    best = np.inf
    for _ in range(_ROUNDS):
        tracker = Tracker([_Nobody()])
        started = time.perf_counter()
        for _ in range(_AT_ONCE):
            tracker.observe(seen)
        best = min(best, (time.perf_counter() - started) / _AT_ONCE)
        if tracker.stats()["dropped"]:
            raise RuntimeError("requests were dropped: what is measured is not what they cost")
    return float(best * 1e6)


class _Nobody:
    endpoints = ("m",)

    def start(self) -> None: ...
    def take(self, seen: Sequence[Seen]) -> None: ...
    def turn(self, now: float) -> bool:
        return False

    def close(self, deadline: float) -> None: ...
    def stats(self) -> dict[str, int]:
        return {}


def beside(watched: Watched, rows: Rows, x: Array | None, total: int, per_second: int) -> Beside:
    """`total` rows, one a request, that arrive evenly, `per_second` of them; time is made to pass, CPU is real.

    Counted with turns as short as the tracker's, flushed to a SQLite file and evaluated as in use.
    """
    pool = list(requests(rows, x, min(_POOL, len(rows))))
    hand = Hand()
    with TemporaryDirectory() as folder:
        clock, pending = StoreClock(hand), PendingSums()
        watcher = DriftWatcher([watched], pending, clock, seed=0)
        evaluator = DriftEvaluator([watched], clock)
        partners: list[Partner] = [DriftFlusher([watched], pending, clock), evaluator]
        exchange = Exchange(partners, lambda: SqliteShared.open(Path(folder), clock=hand), clock)
        exchange.round()
        found = _driven(watcher, exchange, hand, pool, total, per_second)
        counted = watcher.stats()
        left_out = counted["drift_unsampled_rows"]
        if counted["drift_rows"] + left_out + len(_waiting(watcher)) != total:
            raise RuntimeError(f"expected {total} rows to be counted or left out, found {counted}")
        return Beside(total, per_second, left_out / total, *found, evaluator.stats()["drift_evaluations"])


def _waiting(watcher: DriftWatcher) -> list[Judged]:
    """What waits to be counted at the end."""
    return [judged for line in watcher._lines.values() for judged in line._held]


def _driven(
    watcher: DriftWatcher, exchange: Exchange, hand: Hand, pool: list[Seen], total: int, per_second: int
) -> tuple[float, float, float]:
    process = psutil.Process()
    counting = store = 0.0
    sent = warm = 0
    told = hand.now
    while sent < total:
        arrived = max(1, round(per_second * PAUSE_S))
        hand.now += arrived / per_second
        start = sent % len(pool)
        some = pool[start : start + min(arrived, total - sent)]
        began = time.process_time()
        watcher.take(some)
        watcher.turn(hand.now)
        counting += time.process_time() - began
        sent += len(some)
        if hand.now - told >= EVERY_S:
            told = hand.now
            began = time.process_time()
            if not exchange.round():
                raise RuntimeError("the store failed")
            store += time.process_time() - began
        if not warm and sent >= total // 10:
            warm = process.memory_info().rss
    return counting / total * 1e6, store / total * 1e6, (process.memory_info().rss - warm) / 2**20


def requests(rows: Rows, x: Array | None, n: int) -> Iterator[Seen]:
    """`n` requests of one row each. `x` (n, *shape) where rows are not the model's input themselves."""
    given = rows.columns if x is None else x
    assert given is not None
    one = np.ones(1)
    decided = np.full(1, -1)
    for row in range(n):
        part = slice(row, row + 1)
        flags = np.zeros(1, np.uint8) if rows.flagged is None else rows.flagged[part].astype(np.uint8)
        verdicts = Verdicts(flags, flags, one, one, decided, ())
        features = None if x is None or rows.columns is None else rows.columns[part]
        logits = None if rows.logits is None else rows.logits[part]
        yield Seen("m", "a", "id", Judged(Batch(given[part]), verdicts, Outputs({}, logits, features)))
