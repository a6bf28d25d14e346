"""What replicas share, for all pages of a console: one connection, at which they take turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.config import Config
from gateway.state.opening import open_shared
from gateway.state.reopening import Reopening
from gateway.state.shared.store import SharedStore
from gateway.state.shared.tables import SHARED
from gateway.state.store import StoreError


class SharedSource:
    """Opened when first asked for; anew after a failure, or when another file has taken the place of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._turn = threading.Lock()
        self._store = Reopening(lambda: open_shared(config, make=False))
        self._file: tuple[int, int] | None = None

    @contextmanager
    def use(self) -> Iterator[SharedStore | None]:
        """The store, for this block; None where no gateway made one yet.

        Raises:
            StoreError: it can't be read now.
            OperatorError: it is another program's, or a later release's.
        """
        with self._turn:
            store = self._current()
            try:
                yield store
            except StoreError:
                self._store.close()
                raise

    def close(self) -> None:
        """Lets go of the store."""
        with self._turn:
            self._store.close()

    def _current(self) -> SharedStore | None:
        if self._config.state.kind == "sqlite":
            file = self._identity()
            if file != self._file:
                self._store.close()
                self._file = file
            if file is None:
                return None
        return self._store.get()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = (self._config.state.path / SHARED.name).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
