"""The thread that talks to the store that replicas share: one connection, for all who have something to tell."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from gateway.state.reopening import Reopening
from gateway.state.shared.store import SharedStore
from gateway.state.store import StoreError
from gateway.tracking.partner import Partner
from gateway.tracking.storeclock import StoreClock

logger = logging.getLogger("watchgate.tracking")

EVERY_S = 0.5  # how often; what was not told when a process dies is lost
_SAY_S = 60.0  # how often a store that stays out of reach is said again


class Exchange:
    """A store's failure keeps what is to be told with who has to tell it, and stops nothing else."""

    def __init__(
        self,
        partners: Sequence[Partner],
        open_store: Callable[[], SharedStore],
        clock: StoreClock | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.clock = StoreClock() if clock is None else clock
        self.partners = tuple(partners)
        self._store = Reopening(open_store)
        self._every_s = every_s
        self._reached = False
        self._counts: Counter[str] = Counter()
        self._said = float("-inf")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins: in the process that serves, for threads don't outlive a fork."""
        self._thread = threading.Thread(target=self._run, name="watchgate-exchange", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """A last exchange, for at most `timeout_s`."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stats(self) -> dict[str, int]:
        """Counters of the exchange and its partners; `store_reached` is 1 while the store answers."""
        total = Counter({key: self._counts[key] for key in ("failures", "store_failures")})
        total["store_reached"] = int(self._reached)
        for partner in self.partners:
            total.update(partner.stats())
        return dict(total)

    def _run(self) -> None:
        while not self._ending.is_set():
            self.round()
            self._ending.wait(self._every_s)
        if self.round():
            self._each(lambda partner, store: partner.leave(store))
        self._store.close()

    def round(self) -> bool:
        """One exchange with everybody; whether the store was in reach throughout."""
        try:
            self.clock.sync(self._store.get().now)
        except Exception as exc:  # nothing may end the thread; a file that is no store of ours is said like an outage
            self.clock.lost()
            self._out_of_reach(exc)
            return False
        self._reached = self._each(lambda partner, store: partner.exchange(store))
        return self._reached

    def _each(self, act: Callable[[Partner, SharedStore], None]) -> bool:
        store = self._store.get()  # open: the round began with it
        failures = [exc for partner in self.partners if (exc := self._one(act, partner, store)) is not None]
        if failures:
            self._out_of_reach(failures[0])
        return not failures

    def _one(
        self, act: Callable[[Partner, SharedStore], None], partner: Partner, store: SharedStore
    ) -> StoreError | None:
        try:
            act(partner, store)
        except StoreError as exc:
            return exc
        except Exception:
            self._counts["failures"] += 1
            logger.exception("an exchange with the store failed")
        return None

    def _out_of_reach(self, exc: Exception) -> None:
        self._counts["store_failures"] += 1
        self._reached = False
        now = time.monotonic()
        if now - self._said > _SAY_S:
            self._said = now
            logger.warning("the store that replicas share is out of reach, what it is to be told waits: %s", exc)
        self._store.close()
