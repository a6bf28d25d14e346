"""Writes the gateway's counters down every few seconds, so that pages can show curves over time."""

from __future__ import annotations

import threading
import time

import msgspec

from gateway.console.source import Source
from gateway.console.totals import Totals, totals_of
from gateway.errors import OperatorError
from gateway.state.store import StoreError

EVERY_S = 10
KEPT_S = 3 * 86_400


class Sampler(threading.Thread):
    """Runs beside the pages until `stop`."""

    def __init__(self, source: Source, every_s: float = EVERY_S) -> None:
        super().__init__(name="watchgate-sampler", daemon=True)
        self._source = source
        self._every_s = every_s
        self._ended = threading.Event()

    def run(self) -> None:
        """Samples until it is stopped."""
        while True:
            sample(self._source)
            if self._ended.wait(self._every_s):
                return

    def stop(self) -> None:
        """Ends it; a sample under way is finished."""
        self._ended.set()
        if self.is_alive():
            self.join(2.0)


def sample(source: Source, at_s: int | None = None) -> None:
    """Keeps the counters of all endpoints as they are now. A store that is busy or down costs this sample only."""
    at_s = int(time.time()) if at_s is None else at_s
    try:
        numbers = source.numbers()
        totals = {name: msgspec.json.encode(totals_of(numbers, name)).decode() for name in source.config.endpoints}
        with source.store() as store:
            store.history.add(at_s, totals, oldest_s=at_s - KEPT_S)
    except (StoreError, OperatorError, OSError):
        return


def decoded(text: str) -> Totals:
    """The counters that were kept as this text."""
    return msgspec.json.decode(text, type=Totals)
