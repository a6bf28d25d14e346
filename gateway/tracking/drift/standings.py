"""How watched endpoints stand, as the store last told: read beside the path, for whoever must not wait for a store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.reading import read_status
from gateway.tracking.drift.report import DriftStatus
from gateway.tracking.drift.rows import Watched

EVERY_S = 2.0


class DriftStandings:
    """A `Partner`. `current` is by endpoint: a mapping that is replaced, never changed."""

    def __init__(
        self, watched: Sequence[Watched], every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.current: Mapping[str, DriftStatus] = MappingProxyType({})
        self._bundles = {each.endpoint: each.bundle for each in watched}
        self._every_s = every_s
        self._clock = clock
        self._read = float("-inf")

    def exchange(self, store: SharedStore) -> None:
        """See `Partner`."""
        if self._clock() - self._read < self._every_s:
            return
        found = {name: read_status(store, name, bundle) for name, bundle in self._bundles.items()}
        self.current = MappingProxyType({name: status for name, status in found.items() if status is not None})
        self._read = self._clock()

    def leave(self, store: SharedStore) -> None:
        """Nothing is to be told."""

    def stats(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}
