"""Who is told that a series began or ended to drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.tracking.drift.report import DriftAlarm


class Announcer(Protocol):
    """Told of each alarm by the one replica that put it into the store. Must not wait for anybody."""

    def announce(self, alarm: DriftAlarm) -> None:
        """Tells of one alarm."""
        ...

    def close(self, timeout_s: float = 5.0) -> None:
        """Lets what is under way end, for at most `timeout_s`."""
        ...

    def stats(self) -> Mapping[str, int]:
        """Counters since the start, in this process."""
        ...
