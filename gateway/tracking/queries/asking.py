"""The watcher of how principals' queries are spread: near the model's boundary, over the reference's space."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing

import numpy as np

from detectors.queries.extraction import Extraction, territory
from gateway.state.principals.measures import Asking
from gateway.state.principals.store import PrincipalStore
from gateway.state.shared.store import SharedStore
from gateway.state.store import StoreError
from gateway.tracking.rate import Rate
from gateway.tracking.seen import Seen
from models.batch import Array

logger = logging.getLogger("watchgate.tracking")

HOLD_S = 0.2  # how long rows wait for others: many at once cost less
TELL_S = 2.0  # how old the numbers may be
ROWS_PER_SECOND = 2000.0  # that are measured; more are only counted
MOST = 10_000  # principals that wait to be told
AT_ONCE = 500  # told at once: with Redis each takes a moment of a thread that others need


class AskingWatcher:
    """A `Watcher` and a `Partner`. `known` by endpoint: the bundle's version, and what it knows of honest rows."""

    def __init__(self, known: Mapping[str, tuple[str, Extraction]], open_store: Callable[[], PrincipalStore]) -> None:
        self._known = known
        self._open_store = open_store
        self._rates = {endpoint: Rate(ROWS_PER_SECOND) for endpoint in known}
        self._held: dict[str, list[Seen]] = {endpoint: [] for endpoint in known}
        self._counted = self._told = 0.0
        self._asking: dict[str, dict[str, Asking]] = {endpoint: {} for endpoint in known}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def endpoints(self) -> Collection[str]:
        """See `Watcher`."""
        return self._known.keys()

    def start(self) -> None:
        """Nothing has to be done."""

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        for each in seen:
            self._held[each.endpoint].append(each)

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        if now - self._counted >= HOLD_S:
            self._counted = now
            self._count_all(now)
        return False

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        self._count_all(time.monotonic())

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`; what it tells goes to the store of principals."""
        now = time.monotonic()
        if now - self._told >= TELL_S:
            self._told = now
            self._tell(AT_ONCE)

    def leave(self, store: SharedStore) -> None:
        """See `Partner`."""
        self._tell(MOST)

    def _tell(self, most: int) -> None:
        """Of each endpoint at most so many principals."""
        waiting = {endpoint: asking for endpoint, asking in self._asking.items() if asking}
        if not waiting:
            return
        with closing(self._open_store()) as principals:
            for endpoint in waiting:
                version, known = self._known[endpoint]
                with self._lock:
                    asking = {name: waiting[endpoint].pop(name) for name in list(waiting[endpoint])[:most]}
                try:
                    principals.measure(endpoint, version, len(known.cells), asking, time.time_ns())
                except StoreError:
                    self._keep(endpoint, asking)
                    raise

    def stats(self) -> dict[str, int]:
        """See `Watcher`."""
        return {"measured_rows": self._counts["rows"]}

    def _count_all(self, now: float) -> None:
        for endpoint, held in self._held.items():
            if held:
                self._held[endpoint] = []
                self._count(endpoint, held, now)

    def _keep(self, endpoint: str, asking: Mapping[str, Asking]) -> None:
        """What could not be told waits for the next time."""
        with self._lock:
            waiting = self._asking[endpoint]
            for name, old in asking.items():
                if name not in waiting and len(waiting) < MOST:
                    waiting[name] = old
                elif name in waiting:
                    waiting[name].add(old)

    def _count(self, endpoint: str, held: Sequence[Seen], now: float) -> None:
        with self._lock:
            self._count_locked(endpoint, held, now)

    def _count_locked(self, endpoint: str, held: Sequence[Seen], now: float) -> None:
        known = self._known[endpoint][1]
        asking = self._asking[endpoint]
        parts, logits, names = [], [], []
        for seen in held:
            mine = asking.get(seen.principal)
            if mine is None:
                if len(asking) >= MOST:
                    continue
                mine = asking[seen.principal] = Asking(0, 0, 0, set())
            mine.rows += len(seen)
            outputs = seen.judged.outputs if seen.judged.before is None else seen.judged.before
            if outputs is not None:
                parts.append(territory(seen.x, outputs))
                logits.append(outputs.logits)
                names.append(mine)
        granted = self._rates[endpoint].take(sum(map(len, parts)), now)
        if granted:
            self._measure(known, parts, logits, names, granted)

    def _measure(
        self,
        known: Extraction,
        parts: Sequence[Array],
        logits: Sequence[Array | None],
        whose: Sequence[Asking],
        most: int,
    ) -> None:
        """At most the first `most` rows of these requests."""
        cells = known.cells(np.concatenate(parts)[:most])
        told = [each for each in logits if each is not None]
        near = known.near(np.concatenate(told)[:most]) if len(told) == len(logits) else np.zeros(len(cells), dtype=bool)
        self._counts["rows"] += len(cells)
        start = 0
        for part, mine in zip(parts, whose, strict=True):
            end = min(start + len(part), len(cells))
            mine.looked += end - start
            mine.near += int(np.count_nonzero(near[start:end]))
            mine.cells.update(cells[start:end].tolist())
            start = end
