"""Sums that the store does not have yet."""

from __future__ import annotations

import threading

import numpy as np

from gateway.state.shared.store import Place
from models.batch import Array

UNPLACED = -1  # the bucket of rows that were counted before the store first told its time
MOST_BUCKETS = 120  # of a key; beyond them the oldest is added to the next


class PendingSums:
    """int64 vectors by key and bucket, as a store adds them. One thread adds, another takes all.

    What has to wait for long stays whole and bounded: of more than `most` buckets the two oldest become one, so that
    their rows count as a little later than they were.
    """

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._sums: dict[str, dict[int, Array]] = {}

    def add(self, key: str, bucket: int, vector: Array) -> None:
        """Adds to a bucket; the first entry is the number of rows."""
        with self._lock:
            buckets = self._sums.setdefault(key, {})
            known = buckets.get(bucket)
            buckets[bucket] = vector if known is None else known + vector
            if len(buckets) > self._most:
                oldest, following = sorted(buckets)[:2]
                buckets[following] = buckets[following] + buckets.pop(oldest)

    def take(self) -> dict[Place, Array]:
        """All there is; it is forgotten here."""
        with self._lock:
            found, self._sums = self._sums, {}
        return {(key, bucket): np.asarray(sums) for key, buckets in found.items() for bucket, sums in buckets.items()}

    @property
    def rows(self) -> int:
        """That wait."""
        with self._lock:
            return sum(int(sums[0]) for buckets in self._sums.values() for sums in buckets.values())
