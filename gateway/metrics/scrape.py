"""GET /metrics: this worker's numbers added to those of the others."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from gateway.http.judging import Served
from gateway.metrics.facts import build, facts
from gateway.metrics.meter import Numbers, exposition, key
from gateway.metrics.push import Push
from gateway.metrics.recorded import PUSH, RECORDER, TRACKER, named
from gateway.metrics.tally import Tally

EVERY_S = 1.0


class Scrape:
    """Keeps this worker's file of numbers current and adds up everybody's. Starts with the first use."""

    def __init__(
        self,
        folder: Path,
        endpoints: Collection[Served],
        stats: Callable[[], Mapping[str, int]],
        tracked: Callable[[], Mapping[str, int]] = dict,
        push: Callable[[Callable[[], Numbers]], Push | None] = lambda numbers: None,
        drift: Callable[[], Numbers] = dict,
    ) -> None:
        self._folder = folder
        self._endpoints = endpoints
        self._stats = stats
        self._tracked = tracked
        self._drift = drift
        self._tally: Tally | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._written: Numbers = {}
        self._facts: Numbers = build()
        for served in endpoints:
            self._facts.update(facts(served.endpoint))
        self.push = push(lambda: self._written)  # never changed in place, so that another thread may read it

    def start(self) -> None:
        """Begins to write once a second; call it in the event loop."""
        if self._timer is None:
            self._tick(asyncio.get_running_loop())
            if self.push is not None:
                self.push.start()

    def page(self) -> bytes:
        """The Prometheus text. What it shows of this worker is on disk before anybody sees it."""
        return exposition(self._write().total())

    def close(self) -> None:
        """Writes a last time and leaves."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tally is not None:
            self._write().close()
            self._tally = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._write()
        self._timer = loop.call_later(EVERY_S, self._tick, loop)

    def _write(self) -> Tally:
        if self._tally is None:
            self._tally = Tally(self._folder)
        numbers = self._numbers()
        if numbers != self._written:
            self._tally.write(numbers)
            self._written = numbers
        return self._tally

    def _numbers(self) -> Numbers:
        numbers: Numbers = {key("watchgate_workers", {}): 1, **self._facts}
        for served in self._endpoints:
            served.meter.queued_rows = served.batcher.queued_rows
            numbers.update(served.meter.numbers())
        numbers.update(named({"push_failures": 0 if self.push is None else self.push.failures}, PUSH))
        numbers.update(named(self._stats(), RECORDER))
        numbers.update(named(self._tracked(), TRACKER))
        numbers.update(self._drift())
        return numbers


def is_local(peer: str) -> bool:
    """Whether the address is this machine's own (or a socket without an address)."""
    try:
        return not peer or ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
