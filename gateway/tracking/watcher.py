"""What a watcher is: it is handed what was asked, beside the request path."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from gateway.tracking.seen import Seen


class Watcher(Protocol):
    """Everything but `start` and `stats` runs in the tracker's thread, which all watchers share.

    What one raises is logged and counted, and hurts no other. Nothing here may wait for a network: what a store that
    replicas share has to be told is a `Partner`'s business. One that must see requests sooner than others has a
    `pause_s`, in seconds: the longest rest of the thread between turns.
    """

    @property
    def endpoints(self) -> Collection[str]:
        """Whose requests it wants."""
        ...

    def start(self) -> None:
        """Before serving, in the thread that starts the tracker.

        Raises:
            OperatorError: the config can't be served so.
        """
        ...

    def take(self, seen: Sequence[Seen]) -> None:
        """Requests to its endpoints, in order. Rows are let go of by the end of a later turn."""
        ...

    def turn(self, now: float) -> bool:
        """After each `take`, and some times a second without any; `now` is monotonic, in seconds.

        True where more waits than it may look at: then the thread rests longer, as many rows at once are cheaper.
        """
        ...

    def close(self, deadline: float) -> None:
        """Looks at what is left, and writes; until `deadline` (monotonic seconds) at the latest."""
        ...

    def stats(self) -> Mapping[str, int]:
        """Counters since the start, in this process, by names of their own. For any thread."""
        ...
