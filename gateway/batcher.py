"""The micro-batcher: requests that wait at the same time share one pass through the chain.

Nothing waits for company. A request that finds the chain idle runs in the next turn of the event loop, with all
others that were read in this one; while a batch runs, arrivals queue and make up the next. Where requests come one at
a time the turn is saved too, but for one request in 32, which looks whether others come beside it.

Batches that are quick run in the event loop itself, which saves a hop to another thread and back; slow ones run in one
thread of their own. Requests never share a failure: when a shared batch raises, its requests run again one by one.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.batchcost import INLINE_S, Cost
from gateway.config import Limits
from gateway.errors import Unavailable
from gateway.verdict import Judged
from models.batch import Batch

LONELY = 32  # requests in a row without company, after which one in so many looks for some

Judge = Callable[[Batch], Judged]
Result = Judged | Exception


class Observer(Protocol):
    """Hears of each batch that ran."""

    def batch(self, judged: Judged, seconds: float, requests: int) -> None:
        """The rows of `requests` requests took `seconds`."""
        ...


class Pending:
    """A request that waits for its verdicts."""

    __slots__ = ("batch", "deadline", "future", "rows", "shape")

    def __init__(self, batch: Batch, rows: int, shape: object, future: asyncio.Future[Judged], deadline: float) -> None:
        self.batch = batch
        self.rows = rows
        self.shape = shape
        self.future = future
        self.deadline = deadline


class Batcher:
    """One endpoint's queue and its lane to the chain. Every method but `_work` runs in the event loop's thread.

    `ragged`: requests may differ in row shape, and share a batch only with those alike.
    """

    def __init__(self, judge: Judge, limits: Limits, observer: Observer, *, ragged: bool = False) -> None:
        self._judge = judge
        self._limits = limits
        self._observer = observer
        self._ragged = ragged
        self._timeout_s = limits.timeout_ms / 1e3
        self._waiting: deque[Pending] = deque()
        self._running: list[Pending] = []
        self._cost = Cost()
        self._scheduled = False
        self._closed = False
        self._alone = 0  # requests in a row that shared no batch
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: queue.SimpleQueue[list[Pending] | None] | None = None
        self.queued_rows = 0

    def at_once(self, batch: Batch) -> Judged | None:
        """The verdicts, where nothing speaks against running right now; else None: `submit` it.

        Raises:
            Exception: whatever the chain raises.
        """
        rows = len(batch.x)
        self._alone = alone = self._alone + 1
        if alone < LONELY or not alone % LONELY or self._running or self._waiting or self._closed:
            return None
        if self._cost.seconds(rows) >= INLINE_S:
            return None
        started = time.perf_counter()
        judged = self._judge(batch)
        seconds = time.perf_counter() - started
        self._cost.learn(rows, seconds)
        self._observer.batch(judged, seconds, 1)
        return judged

    def submit(self, batch: Batch) -> asyncio.Future[Judged]:
        """The verdicts on the batch's rows, to come.

        Raises:
            Unavailable: the queue is full, or the gateway is shutting down.
        """
        rows = len(batch.x)
        if self._closed:
            raise Unavailable("the gateway is shutting down")
        if self.queued_rows and self.queued_rows + rows > self._limits.max_queued_rows:
            raise Unavailable(f"overloaded: {self.queued_rows} rows are waiting")
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Judged] = loop.create_future()
        shape = _shape(batch) if self._ragged else None
        self._waiting.append(Pending(batch, rows, shape, future, loop.time() + self._timeout_s))
        self.queued_rows += rows
        if self._running:
            self._watch(loop)
        elif not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._pump)
        return future

    async def drain(self, timeout_s: float) -> bool:
        """Takes no more, and waits until what was accepted has been answered; False when that took too long."""
        self._closed = True
        ends = time.monotonic() + timeout_s
        while (self._waiting or self._running) and time.monotonic() < ends:
            await asyncio.sleep(0.005)
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None
        return not (self._waiting or self._running)

    def _pump(self) -> None:
        self._scheduled = False
        if self._running:
            return
        group = self._next()
        if not group:
            return
        if self._cost.seconds(sum(pending.rows for pending in group)) < INLINE_S:
            self._settle(group, self._attempt(group))
        else:
            self._running = group
            self._lane().put(group)
            self._watch(self._event_loop)
        if self._waiting and not self._running:
            self._schedule()

    def _next(self) -> list[Pending]:
        """The oldest request and those behind it that fit beside it into one batch. The given up are left out."""
        group: list[Pending] = []
        others: list[Pending] = []
        rows = 0
        while self._waiting:
            pending = self._waiting[0]
            if pending.future.done():
                self._leave()
                continue
            if group and rows + pending.rows > self._limits.max_batch_rows:
                break
            self._leave()
            if group and pending.shape != group[0].shape:
                others.append(pending)
                continue
            group.append(pending)
            rows += pending.rows
        for pending in reversed(others):
            self._waiting.appendleft(pending)
            self.queued_rows += pending.rows
        return group

    def _leave(self) -> None:
        self.queued_rows -= self._waiting.popleft().rows

    def _attempt(self, group: Sequence[Pending]) -> list[Result]:
        """Runs in the event loop or in the thread. Never raises."""
        rows = sum(pending.rows for pending in group)
        started = time.perf_counter()
        results: list[Result]
        try:
            judged = self._judge(group[0].batch if len(group) == 1 else Batch.concat([p.batch for p in group]))
            results = [judged] if len(group) == 1 else _split(judged, group)
        except Exception as exc:
            results = [exc] if len(group) == 1 else [self._attempt((pending,))[0] for pending in group]
        else:
            seconds = time.perf_counter() - started
            self._cost.learn(rows, seconds)
            self._observer.batch(judged, seconds, len(group))
            if len(group) > 1:
                self._alone = 0
        return results

    def _settle(self, group: Sequence[Pending], results: Sequence[Result]) -> None:
        for pending, result in zip(group, results, strict=True):
            if pending.future.done():  # given up, or cancelled
                continue
            if isinstance(result, Exception):
                pending.future.set_exception(result)
            else:
                pending.future.set_result(result)

    def _lane(self) -> queue.SimpleQueue[list[Pending] | None]:
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            # A daemon: a pass that hangs must not keep the process from ending.
            threading.Thread(target=self._work, args=(self._jobs,), name="watchgate-batch", daemon=True).start()
        return self._jobs

    def _work(self, jobs: queue.SimpleQueue[list[Pending] | None]) -> None:
        while (group := jobs.get()) is not None:
            results = self._attempt(group)
            try:
                self._event_loop.call_soon_threadsafe(self._done, group, results)
            except RuntimeError:  # the loop is gone
                return

    def _done(self, group: Sequence[Pending], results: Sequence[Result]) -> None:
        self._running = []
        self._settle(group, results)
        if self._waiting:
            self._schedule()
        elif self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._event_loop.call_soon(self._pump)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer for all that waits, and only while something runs in the thread."""
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s / 4, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._event_loop.time()
        late = [p for p in (*self._running, *self._waiting) if p.deadline <= now and not p.future.done()]
        for pending in late:
            pending.future.set_exception(Unavailable(f"no answer within {self._limits.timeout_ms:g} ms"))
        if self._running:
            self._watch(self._event_loop)

    @property
    def _event_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None  # set by the first `submit`, before anything else runs
        return self._loop


def _split(judged: Judged, group: Sequence[Pending]) -> list[Result]:
    parts: list[Result] = []
    start = 0
    for pending in group:
        parts.append(judged.take(slice(start, start + pending.rows), pending.batch))
        start += pending.rows
    return parts


def _shape(batch: Batch) -> object:
    return (batch.x.shape[1:], *((name, array.shape[1:]) for name, array in batch.extras.items()))
