"""The tracker's thread: drains the intake and hands what it finds to the watchers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gateway.telemetry.observation import Observation
from gateway.tracking.announcing import Announcer
from gateway.tracking.drift.standings import DriftStandings
from gateway.tracking.exchange import Exchange
from gateway.tracking.feedback.labels import FeedbackDesk
from gateway.tracking.intake import Intake
from gateway.tracking.queries.marks import Marks
from gateway.tracking.seen import Seen
from gateway.tracking.watcher import Watcher

logger = logging.getLogger("watchgate.tracking")

PAUSE_S = 0.02  # between turns, unless a watcher has a shorter `pause_s`: a busy gateway is woken no more often
CROWD = 5  # requests in a turn that make the pause whole; after fewer it is shorter, so that a lone caller is seen soon
BUSY_PAUSE_S = 0.1  # where there is more than may be looked at: many rows at once are cheaper
IDLE_S = 0.25  # between turns while nothing is asked
_LAST_WORD_S = 0.5  # what an alarm's receivers get at the end, however late it is


class Tracker:
    """`observe` from the request path; everything else happens in threads of its own.

    `marks` are those that a watcher keeps current. `exchange` talks to the store that replicas share; `announcer` is
    told of what is found there, `standings` are how its endpoints stand with drift.
    """

    def __init__(
        self,
        watchers: Sequence[Watcher],
        marks: Marks | None = None,
        exchange: Exchange | None = None,
        announcer: Announcer | None = None,
        standings: DriftStandings | None = None,
        desk: FeedbackDesk | None = None,
    ) -> None:
        self.marks = Marks() if marks is None else marks
        self.intake = Intake()
        self._watchers = tuple(watchers)
        self._exchange = exchange
        self._announcer = announcer
        self.desk = desk  # takes true labels
        self.standings = DriftStandings(()) if standings is None else standings
        self._wanted = frozenset(name for watcher in watchers for name in watcher.endpoints)
        self._counts: Counter[str] = Counter()
        self._pause_s = min([PAUSE_S, *(getattr(watcher, "pause_s", PAUSE_S) for watcher in watchers)])
        self._closing = False
        self._deadline = float("inf")
        self._thread: threading.Thread | None = None

    def observe(self, observation: Observation) -> None:
        """Takes what a request asked; never waits."""
        if not self._closing and observation.chain.endpoint in self._wanted:
            self.intake.observe(observation)

    def start(self) -> None:
        """Begins: in the process that serves, for threads don't outlive a fork.

        Raises:
            OperatorError: a watcher can't work with this config.
        """
        for watcher in self._watchers:
            watcher.start()
        if self._exchange is not None:
            self._exchange.start()
        self._thread = threading.Thread(target=self._run, name="watchgate-tracker", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 5.0) -> None:
        """Looks at what waits and writes, for at most `timeout_s`."""
        ends = time.monotonic() + timeout_s
        self._deadline = ends - timeout_s / 2 if self._exchange is not None else ends
        self._closing = True
        self.intake.wake()
        if self._thread is not None:
            self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self.desk is not None:
            self.desk.stop()
        if self._exchange is not None:
            self._exchange.close(max(0.0, ends - time.monotonic()))
        if self._announcer is not None:
            self._announcer.close(max(_LAST_WORD_S, ends - time.monotonic()))

    def stats(self) -> dict[str, int]:
        """What was taken, looked at and lost since the start, in this process, by all watchers."""
        door = self.intake.counts
        total: Counter[str] = Counter(taken=door.taken, dropped=door.dropped + self._counts["abandoned"])
        total["failures"] = self._counts["failures"]
        partners: set[object] = set() if self._exchange is None else set(self._exchange.partners)
        for watcher in self._watchers:
            if watcher not in partners:  # else the exchange tells
                total.update(watcher.stats())
        if self._exchange is not None:
            total.update(self._exchange.stats())
        if self.desk is not None:
            total.update(self.desk.stats())
        if self._announcer is not None:
            total.update({f"alerts_{what}": count for what, count in self._announcer.stats().items()})
        return dict(total)

    def _run(self) -> None:
        while not self._closing:
            taken = self.intake.take(IDLE_S)
            time.sleep(rest_s(self._pause_s, len(taken), self._step(taken)))
        while waiting := self.intake.take(0.0):
            if time.monotonic() >= self._deadline:
                self._counts["abandoned"] += len(waiting)
                break
            self._step(waiting)
        for watcher in self._watchers:
            self._guarded(watcher.close, self._deadline)

    def _step(self, waiting: list[Seen]) -> bool:
        busy = False
        for watcher in self._watchers:
            wanted = [seen for seen in waiting if seen.endpoint in watcher.endpoints]
            if wanted:
                self._guarded(watcher.take, wanted)
            busy |= bool(self._guarded(watcher.turn, time.monotonic()))
        return busy

    def _guarded(self, act: Callable[[Any], Any], argument: object) -> Any:
        try:
            return act(argument)
        except Exception:  # nothing may end the thread beside the path, nor keep the other watchers from it
            self._counts["failures"] += 1
            logger.exception("a turn of the tracker failed")
            return None


def rest_s(longest: float, taken: int, busy: bool) -> float:
    """The thread's pause after a turn that took so many requests; `busy`: where more waits than it may look at."""
    return BUSY_PAUSE_S if busy else longest * min(1.0, taken / CROWD)
