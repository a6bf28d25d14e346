"""A store that is opened when something is first asked of it, and again after it was let go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class _Closing(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=_Closing)


class Reopening(Generic[S]):
    """For one thread. Whoever meets a failure closes it: the next to ask may find the store in reach again."""

    def __init__(self, open_store: Callable[[], S]) -> None:
        self._open = open_store
        self._store: S | None = None

    def get(self) -> S:
        """The store; what opening it raises."""
        if self._store is None:
            self._store = self._open()
        return self._store

    def close(self) -> None:
        """Lets go of it, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                store.close()
