"""A shared store as evaluations leave it: real rows through a real monitor, and what it says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from detectors.drift.monitor import Monitor
from detectors.drift.reading import Reading
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.driftreport import (
    DriftAlarm,
    DriftStatus,
    SeriesStatus,
    alarm_name,
    history_prefix,
    status_name,
)
from tests.drifting import monitor, rows

VERSION = "c0ffee" * 10
WIDTH_S = 10.0
SERIES = ("a", "b", "c", "class", "confidence", "energy", "flagged", "joint")


def write_bundle(folder: Path, endpoint: str = "digits") -> Monitor:
    """A bundle that holds nothing but a monitor and its version."""
    made = monitor()
    home = folder / "bundle" / endpoint
    home.mkdir(parents=True)
    (home / "manifest.json").write_text(json.dumps({"version": VERSION}))
    np.savez(home / "drift.npz", **made.to_arrays())
    return made


@dataclass
class Evaluated:
    """Buckets of 50 rows, `WIDTH_S` seconds each, evaluated one after the other; the first begins at `start_s`."""

    state: Path
    monitor: Monitor
    start_s: float
    endpoint: str = "digits"
    bundle: str = VERSION

    def __post_init__(self) -> None:
        self.folding = self.monitor.start()
        self.bucket = int(self.start_s / WIDTH_S)
        self.began: dict[str, float] = {}

    def go_on(self, buckets: int, shift: float = 0.0) -> DriftStatus:
        """So many buckets more; column `a` of their rows is shifted by so many standard deviations."""
        store = SqliteShared.open(self.state)
        for _ in range(buckets):
            status = self._bucket(store, shift)
        store.close()
        return status

    def _bucket(self, store: SqliteShared, shift: float) -> DriftStatus:
        self.bucket += 1
        at_s = (self.bucket + 1) * WIDTH_S
        sums = self.monitor.encoder.sums(rows(50, self.bucket, shift))
        folded = self.monitor.fold(self.folding, self.bucket, sums)
        self.folding = folded.state
        by_name = {reading.series: reading for reading in folded.readings}
        for reading in folded.started:
            self.began[reading.series] = reading.first_bucket * WIDTH_S
            self._alarm(store, reading, at_s, started=True)
        for name in folded.ended:
            self._alarm(store, by_name[name], at_s, started=False)
            del self.began[name]
        series = tuple(self._series(reading) for reading in folded.readings)
        since_s = min(self.began.values(), default=None)
        status = DriftStatus(
            self.endpoint, self.bundle, at_s, folded.state.rows, 0, since_s is not None, since_s, series
        )
        packed = msgspec.json.encode(status)
        store.put_once(f"{history_prefix(self.endpoint)}{self.bucket:012d}", packed, 86_400.0)
        name = status_name(self.endpoint, self.bundle)
        kept = store.load(name)
        assert store.swap(name, 0 if kept is None else kept.token, packed)
        return status

    def _series(self, reading: Reading) -> SeriesStatus:
        since_s = self.began.get(reading.series)
        return SeriesStatus(
            reading.series,
            reading.kind,
            reading.statistic,
            reading.threshold,
            reading.psi,
            reading.rows,
            since_s is not None,
            since_s,
        )

    def _alarm(self, store: SqliteShared, reading: Reading, at_s: float, *, started: bool) -> None:
        alarm = DriftAlarm(
            self.endpoint,
            self.bundle,
            reading.series,
            self.bucket,
            started,
            at_s,
            self.began[reading.series],
            reading.kind,
            reading.statistic,
            reading.threshold,
            reading.psi,
            reading.rows,
        )
        assert store.put_once(alarm_name(alarm), msgspec.json.encode(alarm), 86_400.0)
