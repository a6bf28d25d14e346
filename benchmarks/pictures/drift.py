"""An endpoint whose callers change, in the console and by `watchgate drift --plot`.

Digits in their usual mix, then callers who mostly send ones and sevens, then the usual mix, then blurred scans. Rows go
through the model, the counting and the evaluation that `serve` runs; only the clock is ahead of time, so that an hour
takes seconds.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.pictures.gallery import Gallery
from benchmarks.serving.process import free_port
from benchmarks.watchgate import answers, ran, running
from gateway.configfile import read
from gateway.demo import digits, network
from gateway.endpoint import Endpoint
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.rows import Summing, Watched, gather
from gateway.tracking.storeclock import StoreClock
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Array, Batch

BUCKET_S, BUCKET_ROWS = 10.0, 50
HELD = 450  # rows that calibrate holds out
CONFIG = """\
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx, input: {bounds: [0, 1]}}
    reference: train.npz
    holdout: test.npz
    chain: [{kind: contract}, {kind: mahalanobis}]
    drift: {window: 200, every: 10s}
"""


def draw(folder: Path, gallery: Gallery) -> None:
    """Pictures of an hour in which two things change."""
    data = split()
    play(prepare(folder, data), data.honest, folder / "state")
    ran(folder, "drift", "watchgate.yaml", "--plot", str(gallery.out / "drift-plot.png"))
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    pages = {"drift": "/drift", "drift-class": "/drift?series=class&class=7"}
    words = ("console", "--config", "watchgate.yaml", "--port", str(port))
    with running(folder, *words, ready=lambda: answers(base)):
        gallery.take(base, pages, phone="drift-phone", height=1500)


class Callers:
    """Who sends these rows, drawn with replacement."""

    def __init__(self, rows: digits.Rows) -> None:
        self._rows = rows
        self._rng = np.random.default_rng(0)

    def usual(self) -> Array:
        """As they come."""
        return self._taken(self._rng.integers(0, len(self._rows), BUCKET_ROWS))

    def ones_and_sevens(self) -> Array:
        """Two in three are a one or a seven."""
        weights = np.where(np.isin(self._rows.y, (1, 7)), 8.0, 1.0)
        return self._taken(self._rng.choice(len(self._rows), BUCKET_ROWS, p=weights / weights.sum()))

    def blurred(self) -> Array:
        """A scanner that lost its focus; still on the grid of gray levels."""
        soft = gaussian_filter(self.usual(), sigma=(0.0, 0.0, 0.5, 0.5))
        return np.asarray(np.rint(soft / digits.STEP) * digits.STEP, dtype=np.float32)

    def _taken(self, rows: Array) -> Array:
        found: Array = self._rows.x[rows]
        return found


def prepare(folder: Path, data: digits.Digits) -> Endpoint:
    """A calibrated endpoint that is watched for drift."""
    network.export(network.train(data.train), folder / "digits.onnx")
    data.train.save(folder / "train.npz")
    data.holdout.save(folder / "test.npz")
    config = folder / "watchgate.yaml"
    config.write_text(CONFIG)
    calibrate(read(config, need_files=True), "digits")
    return load_endpoints(read(config))["digits"]


def split() -> digits.Digits:
    """Fewer held-out rows than in the demo: callers that repeat a few rows would be drift indeed."""
    data = digits.load()
    held, rest = (digits.Rows(data.holdout.x[part], data.holdout.y[part]) for part in (slice(HELD), slice(HELD, None)))
    unseen = (np.concatenate([getattr(rest, name), getattr(data.honest, name)]) for name in ("x", "y"))
    return digits.Digits(data.train, held, digits.Rows(*unseen))


def play(endpoint: Endpoint, honest: digits.Rows, state: Path) -> None:
    """An hour that ends now."""
    callers = Callers(honest)
    scenes = (*[callers.usual] * 150, *[callers.ones_and_sevens] * 40, *[callers.usual] * 130, *[callers.blurred] * 30)
    now_s = (time.time() - BUCKET_S * len(scenes)) // BUCKET_S * BUCKET_S
    monitor, spec = endpoint.monitor, endpoint.chain.backend.spec
    assert monitor is not None  # the config asks for one
    watched = Watched(endpoint.name, endpoint.info.version, monitor, spec, BUCKET_S, 1000.0)
    clock = StoreClock(monotonic=lambda: now_s)
    clock.sync(lambda: now_s)
    store = SqliteShared.open(state, clock=lambda: now_s)
    evaluator = DriftEvaluator([watched], clock, lateness_s=0.0, lease_s=0.0)
    for sequence, scene in enumerate(scenes, start=1):
        sums = _sums(endpoint, watched, scene())
        store.add(Flush("scene", sequence, {(watched.key, watched.bucket(now_s)): sums}))
        now_s += BUCKET_S
        evaluator.exchange(store)
    store.close()


def _sums(endpoint: Endpoint, watched: Watched, x: Array) -> Array:
    gathered = gather([endpoint.chain.run(Batch(x))], watched)
    summing = Summing(watched)
    total = summing.flagged(gathered.flagged_rows)
    if gathered.allowed is not None:
        total = total + summing.allowed(gathered.allowed, gathered.allowed_rows)
    return total.vector()
