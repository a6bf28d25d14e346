"""Brings sums to the store that replicas share: each row once, whatever fails in between."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Sequence

from gateway.state.shared.store import Flush, Place, SharedStore
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.sums import UNPLACED, PendingSums
from gateway.tracking.storeclock import StoreClock
from models.batch import Array

logger = logging.getLogger("watchgate.drift")


class DriftFlusher:
    """A `Partner`. What was frozen is sent again as it is until the store has taken it; new rows wait meanwhile."""

    def __init__(self, watched: Sequence[Watched], pending: PendingSums, clock: StoreClock) -> None:
        self._watched = {each.key: each for each in watched}
        self._pending = pending
        self._clock = clock
        self._replica = ""
        self._sequence = 0
        self._frozen: Flush | None = None
        self._flushed_s = 0
        self._counts: Counter[str] = Counter()

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`."""
        if self._frozen is not None:  # the store failed, maybe after it had taken this
            self._send(self._frozen, store)
        asked_s = int(time.time())
        self._frozen = self._freeze()
        if self._frozen is not None:
            self._send(self._frozen, store)
        self._flushed_s = asked_s

    def leave(self, store: SharedStore) -> None:
        """Nothing more is to be told."""

    def stats(self) -> dict[str, int]:
        """Flushes, rows lost and waiting, and up to when by this host's clock the store has all that was counted."""
        frozen = self._frozen
        waiting = 0 if frozen is None else _rows(frozen)
        return {
            "drift_flushes": self._counts["flushes"],
            "drift_lost_rows": self._counts["lost_rows"],
            "drift_pending_rows": waiting + self._pending.rows,
            "drift_flushed_s": self._flushed_s,
        }

    def _freeze(self) -> Flush | None:
        now = self._clock.now()
        if now is None:
            return None
        placed: dict[Place, Array] = {}
        for (key, bucket), sums in self._pending.take().items():
            place = (key, self._watched[key].bucket(now) if bucket == UNPLACED else bucket)
            placed[place] = placed[place] + sums if place in placed else sums
        if not placed:
            return None
        self._replica = self._replica or uuid.uuid4().hex  # here, in the process that serves, after any fork
        self._sequence += 1
        return Flush(self._replica, self._sequence, placed)

    def _send(self, flush: Flush, store: SharedStore) -> None:
        try:
            store.add(flush)
        except ValueError:  # it never will take it
            self._counts["lost_rows"] += _rows(flush)
            logger.exception("%d rows are lost to drift", _rows(flush))
        self._frozen = None
        self._counts["flushes"] += 1


def _rows(flush: Flush) -> int:
    return sum(int(vector[0]) for vector in flush.sums.values())
