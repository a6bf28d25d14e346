"""Evaluates drift for all replicas: whichever has the lease seals buckets and folds them.

The lease only saves work. Documents are put once under names that say the bucket, and the state is replaced only by who
read it last: evaluators that die halfway, or work at the same time, leave the same alarms.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Sequence

import msgspec

from detectors.drift.state import State
from gateway.state.shared.store import Kept, SharedStore
from gateway.state.store import StoreError
from gateway.tracking.announcing import Announcer
from gateway.tracking.drift.evaluation import Evaluation
from gateway.tracking.drift.report import DriftAlarm, DriftStatus, alarm_name
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.state import Unreadable, pack, unpack
from gateway.tracking.storeclock import StoreClock

logger = logging.getLogger("watchgate.drift")

LATENESS_S = 3.0  # how long after its end a bucket takes sums: what replicas hold and try again is younger
LEASE_S = 5.0
MOST_BUCKETS = 200  # folded at once
HISTORY_KEPT_S = 86_400.0
ALARMS_KEPT_S = 90 * 86_400.0
_FAILED_S = 30.0  # until an evaluation that failed is tried again
_FORGET_S = 60  # how often older ones are dropped


class DriftEvaluator:
    """A `Partner`."""

    def __init__(
        self,
        watched: Sequence[Watched],
        clock: StoreClock,
        announcer: Announcer | None = None,
        lateness_s: float = LATENESS_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._watched = tuple(watched)
        self._clock = clock
        self._announcer = announcer
        self._lateness_s = lateness_s
        self._lease_s = lease_s
        self._holder = ""
        self._failed = float("-inf")  # when the store failed
        self._through: dict[str, int] = {}  # by key: what is evaluated, as far as this replica knows
        self._again: dict[str, float] = {}  # by key: when to ask again, as another has the lease, or it failed
        self._forgot: dict[str, int] = {}  # by key: the bucket at which older ones were dropped
        self._counts: Counter[str] = Counter()

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`. After an outage, all replicas get the time to tell what they had to keep."""
        now = self._clock.now()
        if now is None or self._clock.steady_s < self._lateness_s or now < self._failed + self._lateness_s:
            return
        for watched in self._watched:
            if now >= self._again.get(watched.key, 0.0):
                self._guarded(watched, store, now)

    def leave(self, store: SharedStore) -> None:
        """Another may go on at once."""
        for watched in self._watched:
            if watched.key in self._through and store.lease(watched.lease_name, self._holder, 0.0):
                del self._through[watched.key]

    def stats(self) -> dict[str, int]:
        """Of this replica: evaluations, those that failed, and alarms it was the one to put."""
        counted = {"evaluations": "evaluations", "evaluation_failures": "failures", "alarms": "alarms"}
        return {f"drift_{what}": self._counts[name] for what, name in counted.items()}

    def _guarded(self, watched: Watched, store: SharedStore, now: float) -> None:
        try:
            self._evaluate(watched, store, now)
        except StoreError:
            self._failed = now
            raise
        except Exception:  # one endpoint's fault is not the others'
            self._counts["failures"] += 1
            self._again[watched.key] = now + _FAILED_S
            logger.exception("endpoint %s: drift could not be evaluated", watched.endpoint)

    def _evaluate(self, watched: Watched, store: SharedStore, now: float) -> None:
        through = watched.ended(now - self._lateness_s)
        if through <= self._through.get(watched.key, -1) or not self._leads(watched, store, now):
            return
        store.seal(watched.key, through)
        while True:
            kept = store.load(watched.state_name)
            state = self._state(watched, kept)
            buckets = store.sealed(watched.key, state.bucket, MOST_BUCKETS)
            if buckets and not self._publish(Evaluation.of(watched, state, buckets), kept, store):
                return  # another evaluates, who is as far by now; looked at again in the next round
            if len(buckets) < MOST_BUCKETS:
                break
        self._through[watched.key] = through

    def _leads(self, watched: Watched, store: SharedStore, now: float) -> bool:
        self._holder = self._holder or uuid.uuid4().hex  # here, in the process that serves, after any fork
        if store.lease(watched.lease_name, self._holder, self._lease_s):
            return True
        self._again[watched.key] = now + self._lease_s / 2.0
        return False

    def _state(self, watched: Watched, kept: Kept | None) -> State:
        if kept is None:
            return watched.monitor.start()
        try:
            return unpack(kept.value)
        except Unreadable as exc:
            logger.error("endpoint %s: drift is evaluated from the start: %s", watched.endpoint, exc)
            return watched.monitor.start()

    def _publish(self, found: Evaluation, kept: Kept | None, store: SharedStore) -> bool:
        """Documents first: who dies before the state is replaced leaves the next one to write the same."""
        watched = found.watched
        for alarm in found.alarms:
            if store.put_once(alarm_name(alarm), msgspec.json.encode(alarm), ALARMS_KEPT_S):
                self._announce(alarm)
        self._tell(found, store)
        if not store.swap(watched.state_name, 0 if kept is None else kept.token, pack(found.state)):
            return False
        self._counts["evaluations"] += 1
        bucket = found.state.bucket
        if bucket - self._forgot.get(watched.key, 0) > _FORGET_S:
            self._forgot[watched.key] = bucket
            store.forget(watched.key, bucket - watched.kept_s)
        return True

    def _tell(self, found: Evaluation, store: SharedStore) -> None:
        """A status never replaces a later one."""
        watched = found.watched
        name = watched.status_name
        kept = store.load(name)
        before = None if kept is None else msgspec.json.decode(kept.value, type=DriftStatus)
        told = found.status(store.late_rows(watched.key), before)
        if before is not None and before.at_s > told.at_s:
            return
        status = msgspec.json.encode(told)
        store.put_once(found.history_name, status, HISTORY_KEPT_S)
        store.swap(name, 0 if kept is None else kept.token, status)

    def _announce(self, alarm: DriftAlarm) -> None:
        self._counts["alarms"] += 1
        if self._announcer is None:
            return
        try:
            self._announcer.announce(alarm)
        except Exception:  # the alarm is in the store: what tells of it must not stop who evaluates
            self._counts["failures"] += 1
            logger.exception("an alarm could not be told")
