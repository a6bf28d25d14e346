"""The shared store's time, between the moments when the store is asked for it."""

from __future__ import annotations

import time
from collections.abc import Callable

_SLOW_S = 1.0  # an answer that took so long says little about the time


class StoreClock:
    """Goes on by itself while the store is out of reach, whatever the host's clock does, and never goes back.

    For several threads.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset: float | None = None
        self._told = float("-inf")
        self._answering: float | None = None  # since when, without a failure

    def sync(self, ask: Callable[[], float]) -> None:
        """Asks the store; what `ask` raises is raised, and the store counts as out of reach until it answers again."""
        asked = self._monotonic()
        try:
            answer = ask()
        except BaseException:
            self.lost()
            raise
        answered = self._monotonic()
        if self._offset is None or answered - asked < _SLOW_S:
            self._offset = answer - (asked + answered) / 2.0
        if self._answering is None:
            self._answering = answered

    def lost(self) -> None:
        """The store is out of reach."""
        self._answering = None

    @property
    def steady_s(self) -> float:
        """For how long the store has answered without a failure; below 0 while it is out of reach."""
        since = self._answering
        return -1.0 if since is None else self._monotonic() - since

    def now(self) -> float | None:
        """Seconds since 1970 by the store; None before its first answer."""
        offset = self._offset
        if offset is None:
            return None
        told = max(self._told, self._monotonic() + offset)
        self._told = told
        return told
