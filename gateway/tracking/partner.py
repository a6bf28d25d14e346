"""Who has something to tell the store that replicas share, or to ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.state.shared.store import SharedStore


class Partner(Protocol):
    """Runs in the exchange's thread, which all partners share; what one raises is counted, and hurts no other."""

    def exchange(self, store: SharedStore) -> None:
        """Some times a second, and a last time at the end. What is not told yet is kept for the next time.

        Raises:
            StoreError: the store is out of reach; it is opened anew, and asked again soon.
        """
        ...

    def leave(self, store: SharedStore) -> None:
        """After the last exchange of a process that ends as it should."""
        ...

    def stats(self) -> Mapping[str, int]:
        """Counters since the start, in this process, by names of their own. For any thread."""
        ...
