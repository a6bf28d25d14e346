"""The watcher of drift: what it counts, when, and what it leaves out."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from detectors.drift.sums import Sums
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.sums import UNPLACED, PendingSums
from gateway.tracking.drift.watcher import HOLD_ROWS, HOLD_S, DriftWatcher
from gateway.tracking.storeclock import StoreClock
from tests import drifting, watching

ROWS = drifting.rows(3000, 1)


def counted(pending: PendingSums, watched: Watched) -> Sums:
    vectors = pending.take().values()
    return Sums.from_vector(np.sum(list(vectors), axis=0), len(watched.monitor.encoder.names))


def test_rows_wait_for_others_but_not_for_long() -> None:
    watched, pending, time = watching.watched(), PendingSums(), watching.Time()
    watcher = DriftWatcher([watched], pending, time.synced())
    watcher.take(watching.requests(ROWS.take(slice(0, 10)), 1))
    watcher.turn(0.0)
    watcher.turn(HOLD_S / 2)
    assert not pending.rows
    watcher.turn(HOLD_S)
    assert counted(pending, watched) == watched.monitor.encoder.sums(ROWS.take(slice(0, 10)))
    watcher.take(watching.requests(ROWS.take(slice(0, HOLD_ROWS)), 8))
    watcher.turn(HOLD_S)
    assert counted(pending, watched) == watched.monitor.encoder.sums(ROWS.take(slice(0, HOLD_ROWS)))


def test_rows_go_into_the_bucket_of_the_stores_time() -> None:
    watched, pending, time = watching.watched(every_s=10.0), PendingSums(), watching.Time()
    watcher = DriftWatcher([watched], pending, time.synced(3.0))
    for _ in range(2):
        watcher.take(watching.requests(ROWS.take(slice(0, 5)), 1))
        watcher.close(float("inf"))
        time.move(10.0)
    start = int(watching.START_S)
    assert [bucket for _, bucket in pending.take()] == [start, start + 10]


def test_before_the_store_first_answers_rows_have_no_bucket_yet() -> None:
    pending = PendingSums()
    watcher = DriftWatcher([watching.watched()], pending, StoreClock())
    watcher.take([watching.seen(ROWS.take(slice(0, 5)))])
    watcher.close(float("inf"))
    assert [bucket for _, bucket in pending.take()] == [UNPLACED]


def test_beyond_the_rate_a_random_share_is_counted_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    watched, pending, time = watching.watched(rows_per_second=100.0), PendingSums(), watching.Time()
    watcher = DriftWatcher([watched], pending, time.synced(), seed=0)
    with caplog.at_level(logging.WARNING, "watchgate.drift"):
        watcher.take(watching.requests(ROWS, 50))
        watcher.turn(0.0)
        watcher.take(watching.requests(ROWS, 50))
        watcher.turn(1.0)
    assert watcher.stats() == {"drift_rows": 600, "drift_unsampled_rows": 5400}
    assert [record.getMessage() for record in caplog.records] == [
        "endpoint m: more than drift.rows_per_second, 100: a random share is counted (2500 rows left out so far)"
    ]
    found = counted(pending, watched)
    assert found.rows == 600
    expected = watched.monitor.encoder.sums(ROWS).counts * 600 / 3000
    chi = ((found.counts - expected) ** 2 / np.maximum(expected, 1.0)).sum(axis=1)
    assert chi.max() < 60  # a fair share of every cell


def test_only_the_endpoints_own_requests_are_wanted() -> None:
    watcher = DriftWatcher([watching.watched()], PendingSums(), StoreClock())
    assert list(watcher.endpoints) == ["m"]


def test_what_the_deadline_leaves_no_time_for_is_counted_as_left_out() -> None:
    pending = PendingSums()
    watcher = DriftWatcher([watching.watched()], pending, StoreClock())
    watcher.take([watching.seen(ROWS.take(slice(0, 5)))])
    watcher.close(0.0)
    assert (pending.rows, watcher.stats()["drift_unsampled_rows"]) == (0, 5)
