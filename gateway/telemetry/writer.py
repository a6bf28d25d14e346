"""The side path's thread: takes observations from the lanes, describes them, writes them to the store."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateway.state.record import Entry, PayloadState, Record
from gateway.state.store import StateStore, StoreError
from gateway.telemetry.describe import describe, facts_of
from gateway.telemetry.lane import Bounds, Lane, Place
from gateway.telemetry.observation import ChainInfo, Observation

logger = logging.getLogger("watchgate.telemetry")

FLUSH_S = 0.25  # what `kill -9` can lose of an idle gateway; the promise is a second
_LAG_S = 0.4  # of a busy one: no more may wait than is written in this time
_WAITING = (64, 4096)  # items a lane may hold, whatever the speed
_CHUNK = 64  # observations a transaction: a flood reaches the disk in steps
_TIDY_S = 60.0
_RETRY_S = (0.2, 5.0)
_BACKLOG = Bounds(items=8192, rows=2**19, nbytes=2**27)  # what waits in memory while the store is out of order


class Writer(threading.Thread):
    """Drains `lanes` in order until told to stop. Owns its store, which it opens and, after a failure, reopens.

    `counts`: kept records by lane, `store_failures` (attempts), `store_lost` (records), `payloads_lost`, `undescribed`.
    """

    def __init__(
        self,
        lanes: Sequence[Lane[Observation]],
        open_store: Callable[[], StateStore],
        chains: Sequence[ChainInfo],
        *,
        captured: PayloadState,
        pass_on: Callable[[Record], None],
    ) -> None:
        super().__init__(name="watchgate-writer", daemon=True)
        self.counts: Counter[str] = Counter()
        self.store: StateStore | None = None
        self._lanes = lanes
        self._open_store = open_store
        self._chains = chains
        self._captured = captured
        self._pass_on = pass_on
        self._backlog: Lane[Entry] = Lane(_BACKLOG, lambda entry: Entry(entry.record, "quota"))
        self._writing: list[Entry] = []
        self._stopping = False
        self._awake = threading.Event()
        self._deadline = float("inf")
        self._retry_at = 0.0
        self._retry_s = _RETRY_S[0]
        self._tidied = time.monotonic()
        self._cost_s = 0.0  # of one record, when many are written
        self.written_s = 0  # when the store last took records, in seconds since 1970

    def run(self) -> None:
        """Until `stop`, and then until all is written or the time is up."""
        while not self._stopping:
            self._awake.wait(FLUSH_S)
            self._awake.clear()
            self._turn()
        self._retry_at = 0.0
        self._turn()
        while self._waiting and time.monotonic() < self._deadline:
            time.sleep(0.05)
            self._turn()
        self.counts["store_lost"] += len(self._writing) + len(self._backlog)
        self._close_store()

    def stop(self, deadline: float) -> None:
        """Asks it to finish by `deadline` (`time.monotonic()`)."""
        self._deadline = deadline
        self._stopping = True
        self._awake.set()

    def hurry(self) -> None:
        """Somebody waits for room: the next turn begins now."""
        self._awake.set()

    @property
    def _waiting(self) -> bool:
        return bool(self._writing or self._backlog or any(self._lanes))

    def _turn(self) -> None:
        """Everything that waits, in chunks: verdicts before clean requests."""
        for lane in self._lanes:
            while lane and time.monotonic() < self._deadline:
                started, stored = time.monotonic(), self.counts["stored"]
                self._describe(lane.take(_CHUNK))
                self._flush()
                self._pace(time.monotonic() - started, self.counts["stored"] - stored)
        self._flush()
        self._tidy()

    def _pace(self, took_s: float, stored: int) -> None:
        """Fits the lanes to the writer's speed: quick to see that it is slower, slow to believe that it is faster."""
        if stored < _CHUNK // 2:  # a few records' fixed costs say nothing of many
            return
        cost_s = took_s / stored
        self._cost_s = max(cost_s, 0.9 * self._cost_s + 0.1 * cost_s)
        for lane in self._lanes:
            lane.resize(min(max(int(_LAG_S / self._cost_s), _WAITING[0]), _WAITING[1]))

    def _describe(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            try:
                entry = describe(observation, self._captured)
                self._pass_on(entry.record)
                place = self._backlog.put(entry, entry.record.principal, entry.record.rows, entry.nbytes)
            except Exception:  # one request's fault must not end the side path
                self.counts["undescribed"] += 1
                logger.exception("request %s could not be recorded", observation.id)
                continue
            self.counts["store_lost"] += place is Place.REFUSED
            self.counts["payloads_lost"] += place is Place.BARE

    def _flush(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        while self._writing or self._backlog:
            self._writing = self._writing or self._backlog.take(_CHUNK)
            try:
                self._write(self._writing)
            except Exception as exc:  # a store never stops a request, nor the thread beside it
                self._back_off(exc)
                return
            self._retry_s = _RETRY_S[0]
            self._writing = []
            self.written_s = int(time.time())

    def _write(self, entries: Sequence[Entry]) -> None:
        store = self._opened()
        try:
            store.write(entries)
        except StoreError:
            raise
        except Exception:  # an entry the store can't take: find it, lose only it
            for entry in entries:
                self._write_one(store, entry)
        else:
            self.counts["stored"] += len(entries)

    def _write_one(self, store: StateStore, entry: Entry) -> None:
        try:
            store.write([entry])
        except StoreError:
            raise
        except Exception:
            self.counts["store_lost"] += 1
            logger.exception("request %s could not be stored", entry.record.id)
        else:
            self.counts["stored"] += 1

    def _opened(self) -> StateStore:
        if self.store is None:
            self.store = self._open_store()
            for chain in self._chains:
                self.store.describe_chain(chain.endpoint, chain.version, facts_of(chain))
        return self.store

    def _back_off(self, exc: Exception) -> None:
        self.counts["store_failures"] += 1
        logger.warning("the trace store can't be written, %d requests wait: %s", self.lagging, exc)
        self._close_store()
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _RETRY_S[1])

    @property
    def lagging(self) -> int:
        """Records that a failing store has not taken yet."""
        return len(self._writing) + len(self._backlog)

    def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied < _TIDY_S or now < self._retry_at:
            return
        self._tidied = now
        try:
            self._opened().tidy()
        except Exception as exc:
            self._back_off(exc)

    def _close_store(self) -> None:
        store, self.store = self.store, None
        if store is not None:
            with suppress(Exception):
                store.close()
