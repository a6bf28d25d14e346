"""Runs a drift detector of alibi-detect's beside the path: in a thread of its own, for it is slow.

One replica has the lease and shows the detector a sample of its own rows; what an online detector knows of the stream
is kept in the shared store as arrays, so that a restart, or another replica, goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from defenses.base import Unsuitable
from detectors.alibi_drift import Looked, SavedDrift
from detectors.alibi_saved import Saved
from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.report import SeriesStatus
from gateway.tracking.foreign.config import AlibiTracker
from gateway.tracking.foreign.report import TrackerStatus, tracker_name
from gateway.tracking.foreign.state import Known, pack, unpack
from gateway.tracking.rate import Rate
from gateway.tracking.seen import Seen
from gateway.tracking.storeclock import StoreClock
from models.batch import Array

logger = logging.getLogger("watchgate.drift")

LEASE_S = 10.0
SAVE_S = 10.0  # how much of the stream a `kill -9` makes it forget
MOST_WAITING = 5  # windows, or seconds' worth of rows of an online detector
MOST_BYTES = 2**24  # of what is kept
_CHUNK = 8  # rows that an online detector looks at without a breath
_BREATH_S = 1e-3


class ForeignTracker:
    """A `Watcher` and a `Partner`. Only rows that were allowed are looked at: attacks are no drift."""

    def __init__(self, endpoint: str, bundle: str, settings: AlibiTracker, saved: Saved, clock: StoreClock) -> None:
        self.endpoints = (endpoint,)
        self._bundle = bundle
        self._settings = settings
        self._saved = saved
        self._clock = clock
        self._rate = Rate(settings.rows_per_second)
        self._waiting: deque[Array] = deque()
        self._waiting_rows = 0
        self._most = MOST_WAITING * max(settings.window, int(settings.rows_per_second))
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._ending = False
        self._leading = self._began = False
        self._asked = float("-inf")  # for the lease
        self._known = Known(saved.digest)
        self._fresh = False  # whether `_status` or `_state` changed since they were told
        self._status: TrackerStatus | None = None
        self._state: bytes | None = None
        self._holder = ""
        self._counts: Counter[str] = Counter()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """See `Watcher`."""
        self._holder = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._run, name="watchgate-alibi", daemon=True)
        self._thread.start()

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        if not self._leading:
            return
        for each in seen:
            rows = self._read(each)
            granted = 0 if rows is None else self._rate.take(len(rows), time.monotonic())
            if rows is None or not granted:
                self._counts["unsampled_rows"] += 0 if rows is None else len(rows)
                continue
            with self._lock:
                room = min(granted, self._most - self._waiting_rows)
                if room > 0:
                    self._waiting.append(np.array(rows[:room]))
                    self._waiting_rows += room
            self._counts["unsampled_rows"] += len(rows) - max(room, 0)
        self._awake.set()

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        return False

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        self._ending = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`."""
        now = time.monotonic()
        if now - self._asked >= LEASE_S / 3.0:
            self._asked = now
            self._lead(store)
        if self._leading and self._fresh:
            with self._lock:
                status, state, self._fresh = self._status, self._state, False
            if state is not None:
                _put(store, self._name("state"), state)
            if status is not None:
                _put(store, tracker_name(status.endpoint, status.bundle, status.tracker), msgspec.json.encode(status))

    def _lead(self, store: SharedStore) -> None:
        leading = store.lease(self._name("lease"), self._holder, LEASE_S)
        if leading and not self._began:
            self._began = True
            kept = store.load(self._name("state"))
            self._known = unpack(None if kept is None else kept.value, self._saved.digest)
        self._leading = leading

    def leave(self, store: SharedStore) -> None:
        """See `Partner`."""
        if self._leading:
            store.lease(self._name("lease"), self._holder, 0.0)

    def stats(self) -> Mapping[str, int]:
        """See `Partner`."""
        keys = ("rows", "unsampled_rows", "failures")
        return {f"tracker_{key}": self._counts[key] for key in keys}

    def _name(self, what: str) -> str:
        return f"drift/tracker-{what}/{self.endpoints[0]}/{self._bundle}/{self._settings.name}"

    def _read(self, seen: Seen) -> Array | None:
        allowed = seen.judged.verdicts.shadowed == 0
        outputs = seen.judged.before or seen.judged.outputs
        if self._settings.reads == "input":
            rows: Array | None = seen.x
        elif outputs is None:
            rows = None
        else:
            rows = outputs.features if self._settings.reads == "features" else outputs.logits
        return None if rows is None or not allowed.any() else rows[allowed]

    def _run(self) -> None:
        try:
            while not self._leading and not self._ending:
                time.sleep(0.05)
            if self._ending:
                return
            detector = self._saved.load()
            if self._known.arrays and not detector.restore(self._known.arrays):
                logger.warning(
                    "tracker %s: what it knew fits the detector no more: it begins anew", self._settings.name
                )
                self._known = Known(self._saved.digest)
            self._follow(detector)
        except Exception as exc:  # somebody else's code
            self._counts["failures"] += 1
            text = str(exc) if isinstance(exc, Unsuitable) else f"{type(exc).__name__}: {exc}"
            logger.error("endpoint %s: tracker %s stops: %s", self.endpoints[0], self._settings.name, text)
            self._tell(self._said("", None, text[:500]), None)

    def _follow(self, detector: SavedDrift) -> None:
        saved = time.monotonic()
        while not self._ending:
            self._awake.wait(1.0)
            self._awake.clear()
            while (
                rows := self._next(_CHUNK if detector.online else self._settings.window, detector.online)
            ) is not None:
                self._look(detector, rows)
                time.sleep(_BREATH_S)
            if time.monotonic() - saved > SAVE_S:
                saved = time.monotonic()
                self._tell(self._status, self._packed(detector))
        self._tell(self._status, self._packed(detector))

    def _look(self, detector: SavedDrift, rows: Array) -> None:
        found = detector.look(detector.fitting(rows))
        self._counts["rows"] += len(rows)
        known = self._known
        known.rows += len(rows)
        if found is not None:
            known.since_s = (known.since_s or self._clock.now() or time.time()) if found.drifted else None
            self._tell(self._said(detector.name, found), None)

    def _next(self, rows: int, some: bool) -> Array | None:
        """The next rows, so many, or with `some` whatever there is."""
        with self._lock:
            if not self._waiting_rows or (self._waiting_rows < rows and not some):
                return None
            parts, found = [], 0
            while self._waiting and found < rows:
                part = self._waiting.popleft()
                parts.append(part[: rows - found])
                if len(part) > rows - found:
                    self._waiting.appendleft(part[rows - found :])
                found += len(parts[-1])
            self._waiting_rows -= found
        return np.asarray(np.concatenate(parts))

    def _said(self, detector: str, found: Looked | None, error: str | None = None) -> TrackerStatus:
        window = self._settings.window
        series = None
        if found is not None:
            since = self._known.since_s if found.drifted else None
            numbers = (found.statistic, found.threshold, 0.0)
            series = SeriesStatus(self._settings.name, detector, *numbers, window, found.drifted, since)
        return TrackerStatus(
            endpoint=self.endpoints[0],
            bundle=self._bundle,
            tracker=self._settings.name,
            detector=detector,
            at_s=self._clock.now() or time.time(),
            rows=self._known.rows,
            series=series,
            p_values=() if found is None else found.p_values,
            error=error,
        )

    def _packed(self, detector: SavedDrift) -> bytes | None:
        packed = pack(self._known, detector.to_arrays())
        if len(packed) > MOST_BYTES:
            logger.warning("tracker %s: %d bytes are too much to keep", self._settings.name, len(packed))
            return None
        return packed

    def _tell(self, status: TrackerStatus | None, state: bytes | None) -> None:
        with self._lock:
            self._status = status
            self._state = state or self._state
            self._fresh = True


def _put(store: SharedStore, name: str, value: bytes) -> None:
    kept = store.load(name)
    store.swap(name, 0 if kept is None else kept.token, value)
