"""Messages that wait to be sent, on a thread of their own: a receiver that hangs or refuses delays nothing else."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")
_log = logging.getLogger("watchgate.alerts")

MOST_WAITING = 1000
_PAUSES_S = (1.0, 60.0)  # the first between two attempts, twice as long each time, and the longest


class Outcome(Enum):
    """What became of one attempt."""

    SENT = "sent"
    AGAIN = "again"  # the receiver may take it later
    REFUSED = "refused"  # it never will


class Outbox(threading.Thread, Generic[T]):
    """Sends what `add` was given, in order; starts with the first. `send` may raise: that is tried again.

    A message is given up after `give_up_s`; the oldest goes where more than `most` wait. `counts`: `sent`, `failures`
    (attempts) and `lost` (messages).
    """

    def __init__(
        self,
        name: str,
        send: Callable[[T], Outcome],
        *,
        give_up_s: float = 900.0,
        most: int = MOST_WAITING,
        pauses_s: tuple[float, float] = _PAUSES_S,
    ) -> None:
        super().__init__(name=f"watchgate-alerts-{name}", daemon=True)
        self.counts: Counter[str] = Counter()
        self._of = name
        self._send = send
        self._give_up_s = give_up_s
        self._most = most
        self._pauses_s = pauses_s
        self._waiting: deque[tuple[float, T]] = deque()
        self._changed = threading.Condition()
        self._deadline = float("inf")
        self._closing = threading.Event()

    def add(self, message: T) -> None:
        """Takes a message without waiting for anybody."""
        with self._changed:
            if self._closing.is_set():
                self.counts["lost"] += 1
                return
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self.counts["lost"] += 1
            self._waiting.append((time.monotonic(), message))
            if self.ident is None:
                self.start()
            self._changed.notify()

    def run(self) -> None:
        """Until `close`, and then once more for each message that waits."""
        while (entry := self._next()) is not None:
            self._deliver(*entry)
        with self._changed:
            self.counts["lost"] += len(self._waiting)
            self._waiting.clear()

    def close(self, timeout_s: float) -> None:
        """Ends it: what waits is tried once more, for at most `timeout_s`."""
        with self._changed:
            self._deadline = time.monotonic() + timeout_s
            self._closing.set()
            self._changed.notify()
        if self.ident is not None:
            self.join(timeout_s)

    def _next(self) -> tuple[float, T] | None:
        with self._changed:
            while not self._waiting and not self._closing.is_set():
                self._changed.wait()
            over = self._closing.is_set() and time.monotonic() >= self._deadline
            return None if over or not self._waiting else self._waiting.popleft()

    def _deliver(self, since: float, message: T) -> None:
        pause = self._pauses_s[0]
        while True:
            outcome = self._attempt(message)
            if outcome is Outcome.SENT:
                self.counts["sent"] += 1
                return
            self.counts["failures"] += 1
            late = time.monotonic() - since + pause > self._give_up_s
            if outcome is Outcome.REFUSED or late or self._closing.wait(pause * random.uniform(0.75, 1.0)):
                break
            pause = min(2.0 * pause, self._pauses_s[1])
        if outcome is Outcome.AGAIN and not late and self._attempt(message) is Outcome.SENT:
            self.counts["sent"] += 1
            return
        self.counts["lost"] += 1
        _log.error("%s did not take an alert, which is given up", self._of)

    def _attempt(self, message: T) -> Outcome:
        try:
            return self._send(message)
        except Exception as error:  # whatever it is, serving goes on, and the message waits
            _log.warning("%s did not take an alert: %s", self._of, error)
            return Outcome.AGAIN
