"""Sums on their way to the store: each row once, whatever fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush
from gateway.state.store import StoreError
from gateway.tracking.drift.flusher import DriftFlusher
from gateway.tracking.drift.sums import UNPLACED, PendingSums
from gateway.tracking.storeclock import StoreClock
from models.batch import Array
from tests import watching

WATCHED = watching.watched()
KEY = WATCHED.key
START = int(watching.START_S)


def vector(rows: int) -> Array:
    return np.full(len(WATCHED.monitor.encoder.zero().vector()), rows, dtype=np.int64)


def rows(store: SqliteShared) -> dict[int, int]:
    store.seal(KEY, 2**40)
    return {bucket: int(sums[0]) for bucket, sums in store.sealed(KEY, 0)}


class Failing:
    """A store that loses what it is told, or its answer."""

    def __init__(self, store: SqliteShared, *, after: bool) -> None:
        self._store = store
        self._after = after

    def add(self, flush: Flush) -> None:
        if self._after:
            self._store.add(flush)
        raise StoreError("gone")


@pytest.mark.parametrize("after", [False, True])
def test_a_flush_that_failed_is_sent_again_as_it_was_and_counts_once(after: bool, tmp_path: Path) -> None:
    time, pending = watching.Time(), PendingSums()
    store = time.store(tmp_path)
    flusher = DriftFlusher([WATCHED], pending, time.synced())
    pending.add(KEY, START, vector(3))
    failing = Failing(store, after=after)
    for _ in range(2):
        with pytest.raises(StoreError):
            flusher.exchange(failing)  # type: ignore[arg-type] # all of a store that is asked for
        pending.add(KEY, START, vector(1))
    assert flusher.stats()["drift_pending_rows"] == 5
    flusher.exchange(store)
    assert flusher.stats()["drift_pending_rows"] == 0
    assert flusher.stats()["drift_flushes"] == 2
    assert rows(store) == {START: 5}
    store.close()


def test_rows_from_before_the_store_first_answered_are_of_the_time_when_it_did(tmp_path: Path) -> None:
    time, pending = watching.Time(), PendingSums()
    store = time.store(tmp_path)
    clock = StoreClock(lambda: time.passed)
    flusher = DriftFlusher([WATCHED], pending, clock)
    pending.add(KEY, UNPLACED, vector(3))
    flusher.exchange(store)
    assert flusher.stats()["drift_pending_rows"] == 3  # the time is not known
    clock.sync(lambda: time.now)
    pending.add(KEY, START, vector(1))
    flusher.exchange(store)
    assert rows(store) == {START: 4}
    store.close()


def test_sums_that_the_store_will_never_take_are_counted_as_lost(tmp_path: Path) -> None:
    time, pending = watching.Time(), PendingSums()
    store = time.store(tmp_path)
    flusher = DriftFlusher([WATCHED], pending, time.synced())
    pending.add(KEY, START, vector(1))
    flusher.exchange(store)
    pending.add(KEY, START, vector(7)[:5])
    flusher.exchange(store)
    assert flusher.stats()["drift_lost_rows"] == 7
    pending.add(KEY, START, vector(1))
    flusher.exchange(store)
    assert rows(store) == {START: 2}
    store.close()


def test_how_fresh_the_store_is_shows(tmp_path: Path) -> None:
    time = watching.Time()
    store = time.store(tmp_path)
    flusher = DriftFlusher([WATCHED], PendingSums(), time.synced())
    assert flusher.stats()["drift_flushed_s"] == 0
    flusher.exchange(store)
    assert flusher.stats()["drift_flushed_s"] > 1_600_000_000
    store.close()
