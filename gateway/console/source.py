"""What pages are made from: the operator's config, the trace store, the metrics files, the bundles."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectors.drift.monitor import Monitor
from gateway.config import Config
from gateway.console.calibration import Calibration, read_calibration
from gateway.console.driftbins import read_monitor
from gateway.console.sharedsource import SharedSource
from gateway.console.standing import Standing
from gateway.errors import OperatorError
from gateway.metrics.meter import Numbers
from gateway.metrics.tally import total
from gateway.state.shared.store import SharedStore
from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import StoreError
from gateway.tracking.drift.reading import Drift, bundle_of, read_standing, watched

_METRICS_S = 0.5  # pages that are made at once share one reading of the metrics files


class Source:
    """One for all threads of the console: they take turns at the store."""

    def __init__(self, config: Config, path: Path, gateway_url: str = "http://127.0.0.1:3000") -> None:
        self.config = config
        self.path = path
        self.gateway_url = gateway_url
        self._turn = threading.Lock()
        self._store: SqliteStore | None = None
        self._file: tuple[int, int] | None = None
        self.opened = 0  # how often the store was opened
        self._read: tuple[float, Numbers] = (-1e9, {})
        self._bundles: dict[str, tuple[float, Calibration | None]] = {}
        self._shared = SharedSource(config)
        self._monitors: dict[str, tuple[str, Monitor | None]] = {}

    @contextmanager
    def store(self) -> Iterator[SqliteStore]:
        """The store, to be used in the block only; opened, and made or brought up to date, when first asked for.

        Raises:
            StoreError: it can't be opened now.
            OperatorError: it is another program's, or a later release's.
        """
        with self._turn:
            yield self._current()

    def numbers(self) -> Numbers:
        """All the gateway's counters and gauges, half a second old at most."""
        with self._turn:
            if time.monotonic() - self._read[0] > _METRICS_S:
                self._read = (time.monotonic(), total(self.config.state.path / "metrics"))
            return self._read[1]

    def calibration(self, endpoint: str) -> Calibration | None:
        """What `calibrate` found, as it lies on disk now; None where it never ran."""
        manifest = self.config.bundle / endpoint / "manifest.json"
        try:
            written = manifest.stat().st_mtime
        except OSError:
            return None
        with self._turn:
            known = self._bundles.get(endpoint)
            if known is None or known[0] != written:
                known = self._bundles[endpoint] = (written, read_calibration(self.config.bundle, endpoint))
            return known[1]

    @contextmanager
    def shared(self) -> Iterator[SharedStore | None]:
        """What replicas share, for this block; None where no gateway has served yet.

        Raises:
            StoreError: it can't be read now.
            OperatorError: it is another program's, or a later release's.
        """
        with self._shared.use() as store:
            yield store

    def monitor(self, endpoint: str) -> tuple[str | None, Monitor | None]:
        """The bundle's version and its drift monitor, as they lie on disk now; None where there is none."""
        version = bundle_of(self.config, endpoint)
        if version is None:
            return None, None
        with self._turn:
            known = self._monitors.get(endpoint)
            if known is None or known[0] != version:
                known = self._monitors[endpoint] = (version, read_monitor(self.config.bundle / endpoint))
            return known

    def standing(self, endpoint: str) -> Standing:
        """How it stands with drift; a store that can't be read is told, and stops nobody."""
        settings = self.config.endpoints[endpoint]
        if not watched(settings):
            return Standing()
        bundle, drift = bundle_of(self.config, endpoint), Drift(endpoint)
        try:
            with self.shared() as store:
                if store is not None and bundle is not None:
                    drift = read_standing(store, endpoint, bundle, settings)
            return Standing(True, drift)
        except (StoreError, OperatorError) as error:
            return Standing(True, drift, str(error))

    def close(self) -> None:
        """Lets go of the store."""
        with self._turn:
            if self._store is not None:
                self._store.close()
                self._store = None
        self._shared.close()

    def _current(self) -> SqliteStore:
        """The store behind the path: if somebody removed the folder, the one that took its place."""
        file = self.config.state.path / FILE
        if self._store is not None and _identity(file) != self._file:
            self._store.close()
            self._store = None
        if self._store is None:
            self._store = SqliteStore.open_for_writing(self.config.state.path)
            self._file = _identity(file)
            self.opened += 1
        return self._store


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
