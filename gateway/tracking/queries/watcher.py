"""The watcher of queries: remembers them, marks principals, and keeps the marks current."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from detectors.queries.memory import Finding, QueryMemory
from gateway.state.principals.store import Mark, PrincipalStore
from gateway.state.reopening import Reopening
from gateway.state.store import StoreError
from gateway.tracking.queries.config import QueriesConfig
from gateway.tracking.queries.marks import Marks
from gateway.tracking.queries.sharing import Sharing
from gateway.tracking.queries.turn import Turn
from gateway.tracking.seen import Seen
from models.batch import Array

logger = logging.getLogger("watchgate.tracking")

BREATH_S = 1e-4  # the interpreter lock is given up between chunks, or a request would wait for it
CHUNK = 16  # rows looked at without a breath
REFRESH_S = 0.25  # how old the marks of other workers may be
FLUSH_S = 1.0  # how old the numbers of queries may be
SAY_S = 60.0  # how often a store that stays out of order is said again
MOST_UNWRITTEN = 10_000  # principals that wait while the store is out of order


@dataclass(frozen=True, slots=True)
class _Batch:
    marks: Mapping[str, Mark]
    queries: Mapping[str, int]
    sent: tuple[str, int]


class QueryWatcher:
    """A `Watcher`. `memories` and `settings` by endpoint; `sharing` is for several workers."""

    pause_s = 0.005  # a lone attacker is marked in this time

    def __init__(
        self,
        memories: Mapping[str, QueryMemory],
        settings: Mapping[str, QueriesConfig],
        open_store: Callable[[], PrincipalStore],
        clock: Callable[[], float] = time.time,
        sharing: Sharing | None = None,
    ) -> None:
        self.endpoints = memories.keys()
        self.marks = Marks()
        self._memories = memories
        self._settings = settings
        self._store = Reopening(open_store)
        self._clock = clock
        self._sharing = sharing
        self._counts: Counter[str] = Counter()
        self._queries: Counter[str] = Counter()  # not in the store yet
        self._fresh: dict[str, Mark] = {}  # not in the store yet
        self._sending: _Batch | None = None  # frozen, and sent again as it is until the store has taken it
        self._worker = uuid.uuid4().hex
        self._sequence = 0
        self._changes = -1
        self._refreshed = self._flushed = 0.0
        self._said = float("-inf")
        self._turn = Turn({name: each.rows_per_second for name, each in settings.items()})

    def start(self) -> None:
        """Reads the marks.

        Raises:
            OperatorError: the state folder holds another program's `principals.db`.
        """
        self._refresh()

    def stats(self) -> dict[str, int]:
        """What was looked at and found since the start, in this process."""
        keys = ("rows", "new_rows", "alike_rows", "unsampled_rows", "marks", "failures", "store_failures")
        return {key: self._counts[key] for key in keys}

    @property
    def nbytes(self) -> int:
        """Bytes that remembered queries take."""
        return sum(memory.nbytes for memory in self._memories.values())

    def take(self, seen: Sequence[Seen]) -> None:
        """See `Watcher`."""
        for each in seen:
            self._counts["rows"] += len(each)
            self._queries[each.principal] += len(each)
            self._turn.add(each.endpoint, each.principal, each.x)

    def turn(self, now: float) -> bool:
        """See `Watcher`."""
        chunks, left_out = self._turn.chunks(now, CHUNK)
        self._counts["unsampled_rows"] += left_out
        for endpoint, names, x in chunks:
            self._look(endpoint, names, x)
            time.sleep(BREATH_S)
        now = time.monotonic()
        if self._fresh or now - self._flushed > FLUSH_S:
            self._flush()
        if now - self._refreshed > REFRESH_S:
            self._refresh()
            self._share()
        return left_out > 0

    def close(self, deadline: float) -> None:
        """See `Watcher`."""
        self._flush()
        self._store.close()

    def _look(self, endpoint: str, names: list[str], x: Array) -> None:
        try:
            told = self._memories[endpoint].ask(names, x, self._clock())
        except Exception:  # one request's fault must not end the side path
            self._counts["failures"] += 1
            logger.exception("endpoint %s: queries could not be compared", endpoint)
            return
        for principal, finding in told.items():
            if finding.alike:
                self._mark(endpoint, principal, finding)
            self._counts["new_rows"] += finding.new  # last: whoever waits for it finds the mark

    def _mark(self, endpoint: str, principal: str, finding: Finding) -> None:
        """At once in this worker, in the others after the next flush."""
        self._counts["alike_rows"] += finding.alike
        now_ns = int(self._clock() * 1e9)
        until_ns = now_ns + int(self._settings[endpoint].mark_minutes * 60e9)
        fresh = self._fresh.get(principal)
        known = self.marks.current.get(principal)
        if known is None:
            self._counts["marks"] += 1
            logger.warning("principal %r is marked: %s", principal, finding.reason)
        first = fresh or Mark(principal, endpoint, finding.reason, 0, now_ns, until_ns)
        self._fresh[principal] = _more(first, finding.alike, until_ns)
        self.marks.current = {**self.marks.current, principal: _more(known or first, finding.alike, until_ns)}

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        while self._sending is not None or self._fresh or self._queries:
            if self._sending is None:
                self._sequence += 1
                self._sending = _Batch(self._fresh, self._queries, (self._worker, self._sequence))
                self._fresh, self._queries = {}, Counter()
            batch = self._sending
            try:
                self._store.get().add(batch.marks, batch.queries, int(self._clock() * 1e9), batch.sent)
            except StoreError as exc:
                self._failed(exc)
                return
            self._sending, self._changes = None, -1

    def _share(self) -> None:
        try:
            if self._sharing is not None:
                self._sharing.exchange(self._store.get(), self._clock())
        except StoreError as exc:
            self._failed(exc)

    def _refresh(self) -> None:
        """The marks of all workers. One that is gone before its time was lifted: its queries are forgotten."""
        self._refreshed = time.monotonic()
        now_ns = int(self._clock() * 1e9)
        try:
            store = self._store.get()
            changes = store.changes
            expired = any(mark.until_ns <= now_ns for mark in self.marks.current.values())
            if changes == self._changes and not expired:
                return
            stored = store.marks(now_ns)
        except StoreError as exc:
            self._failed(exc)
            return
        self._changes = changes
        unsent = self._unsent()
        for principal, mark in self.marks.current.items():
            if principal not in stored and principal not in unsent and mark.until_ns > now_ns:
                for memory in self._memories.values():
                    memory.forget(principal)
        ours = {name: _more(stored[name], m.alike, m.until_ns) if name in stored else m for name, m in unsent.items()}
        self.marks.current = {**stored, **ours}

    def _unsent(self) -> dict[str, Mark]:
        """Marks that the store does not have, as far as it said."""
        found = dict(self._fresh)
        for name, mark in ({} if self._sending is None else self._sending.marks).items():
            found[name] = _more(mark, found[name].alike, found[name].until_ns) if name in found else mark
        return found

    def _failed(self, exc: StoreError) -> None:
        self._counts["store_failures"] += 1
        if time.monotonic() - self._said > SAY_S:
            self._said = time.monotonic()
            logger.warning("marks can't be read or written, this worker goes on with its own: %s", exc)
        self._store.close()
        for kept in (self._fresh, self._queries):
            while len(kept) > MOST_UNWRITTEN:
                del kept[next(iter(kept))]


def _more(mark: Mark, alike: int, until_ns: int) -> Mark:
    return Mark(
        mark.principal, mark.endpoint, mark.reason, mark.alike + alike, mark.since_ns, max(mark.until_ns, until_ns)
    )
