"""A shared store as a served endpoint leaves it: real rows, counted, sealed and evaluated by what `serve` runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from detectors.drift.monitor import Monitor
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush
from gateway.tracking.announcing import Announcer
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.reading import read_status
from gateway.tracking.drift.report import DriftStatus, SeriesStatus
from gateway.tracking.drift.rows import Watched
from gateway.tracking.feedback.report import AccuracyPoint, AccuracyStatus, accuracy_name, wilson
from gateway.tracking.foreign.report import TrackerStatus, tracker_name
from gateway.tracking.storeclock import StoreClock
from models.batch import Bounds, InputSpec
from tests.drifting import monitor, rows

VERSION = "c0ffeec0ffee"
WIDTH_S = 10.0
SERIES = ("a", "b", "c", "class", "confidence", "energy", "flagged", "joint")
SPEC = InputSpec("table", np.dtype("float32"), (3,), Bounds(-10.0, 10.0))


def write_bundle(folder: Path, endpoint: str = "digits") -> Monitor:
    """A bundle that holds nothing but a monitor and its version."""
    made = monitor()
    home = folder / "bundle" / endpoint
    home.mkdir(parents=True, exist_ok=True)
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
    announcer: Announcer | None = None
    now_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.now_s = self.start_s // WIDTH_S * WIDTH_S
        self.watched = Watched(self.endpoint, VERSION, self.monitor, SPEC, WIDTH_S, 1000.0)
        clock = StoreClock(monotonic=lambda: self.now_s)
        clock.sync(lambda: self.now_s)
        self.evaluator = DriftEvaluator([self.watched], clock, self.announcer, lateness_s=0.0, lease_s=0.0)
        self._sequence = 0

    def go_on(self, buckets: int, shift: float = 0.0) -> DriftStatus:
        """So many buckets more; column `a` of their rows is shifted by so many standard deviations."""
        store = SqliteShared.open(self.state, clock=lambda: self.now_s)
        for _ in range(buckets):
            self._sequence += 1
            bucket = self.watched.bucket(self.now_s)
            sums = self.monitor.encoder.sums(rows(50, self._sequence, shift)).vector()
            store.add(Flush(f"replica-{self.endpoint}", self._sequence, {(self.watched.key, bucket): sums}))
            self.now_s += WIDTH_S
            self.evaluator.exchange(store)
        status = read_status(store, self.endpoint, VERSION)
        store.close()
        assert status is not None
        return status


def label(state: Path) -> AccuracyStatus:
    """What labels say of an endpoint whose model has become worse."""
    now_s = time.time()
    points = tuple(
        AccuracyPoint(now_s - 600 + 60 * n, now_s - 540 + 60 * n, 50, 46 - n, *wilson(46 - n, 50)) for n in range(9)
    )
    error = SeriesStatus("error", "shape", 6.5, 4.0, 0.3, 200, True, now_s - 300.0)
    labels, correct = sum(one.labels for one in points), sum(one.correct for one in points)
    accuracy, interval = correct / labels, wilson(correct, labels)
    status = AccuracyStatus(
        "digits",
        VERSION,
        now_s,
        labels,
        correct,
        labels,
        accuracy,
        *interval,
        0.95,
        True,
        now_s - 300.0,
        (error,),
        points,
    )
    _keep(state, accuracy_name("digits", VERSION), status)
    return status


def track(state: Path, error: str | None = None) -> TrackerStatus:
    """What somebody else's detector, named `mmd`, says."""
    series = SeriesStatus("mmd", "p-value", 2.5, 1.3, 0.0, 200, False, None)
    status = TrackerStatus("digits", VERSION, "mmd", "MMDDrift", time.time(), 400, series, (0.003,), error)
    _keep(state, tracker_name("digits", VERSION, "mmd"), status)
    return status


def _keep(state: Path, name: str, document: msgspec.Struct) -> None:
    store = SqliteShared.open(state)
    assert store.swap(name, 0, msgspec.json.encode(document))
    store.close()
