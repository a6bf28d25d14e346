"""Sums that wait for the store."""

from __future__ import annotations

import threading

import numpy as np

from gateway.tracking.drift.sums import PendingSums
from models.batch import Array


def vector(rows: int) -> Array:
    return np.array([rows, 2 * rows], dtype=np.int64)


def test_sums_of_a_bucket_add_up_and_are_taken_once() -> None:
    pending = PendingSums()
    for rows in (1, 2, 4):
        pending.add("a", 10, vector(rows))
    pending.add("b", 10, vector(8))
    assert pending.rows == 15
    taken = pending.take()
    assert {place: sums.tolist() for place, sums in taken.items()} == {("a", 10): [7, 14], ("b", 10): [8, 16]}
    assert (pending.rows, pending.take()) == (0, {})


def test_beyond_the_bound_the_oldest_buckets_become_one_and_no_row_is_lost() -> None:
    pending = PendingSums(most=3)
    for bucket in range(10):
        pending.add("a", bucket, vector(1))
    taken = {bucket: int(sums[0]) for (_, bucket), sums in pending.take().items()}
    assert taken == {7: 8, 8: 1, 9: 1}


def test_what_one_thread_adds_another_takes() -> None:
    pending, found = PendingSums(), 0

    def write() -> None:
        for n in range(5000):
            pending.add("a", n % 5, vector(1))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        found += sum(int(sums[0]) for sums in pending.take().values())
    writer.join()
    assert found + pending.rows == 5000
