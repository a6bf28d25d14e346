"""`python -m benchmarks.driftscene`: pictures of an endpoint whose callers change, in the console and by `--plot`.

Digits in their usual mix, then callers who mostly send ones and sevens, then the usual mix, then blurred scans. Rows go
through the model, the counting and the evaluation that `serve` runs; only the clock is ahead of time, so that an hour
takes seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.browser import SCHEMES, Page, browsing, found
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

WATCHGATE = (sys.executable, "-m", "gateway.cli")
PHONE = (390, 844)
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


async def shoot(page: Page, base: str, out: Path) -> None:
    for scheme in SCHEMES:
        await page.look(scheme)
        await page.open(f"{base}/drift")
        await page.picture(out / f"console-drift-{scheme}.png", height=1500)
        await page.open(f"{base}/drift?series=class&class=7")
        await page.picture(out / f"console-drift-class-{scheme}.png", height=1500)
    await page.look("light", *PHONE)
    await page.open(f"{base}/drift")
    await page.picture(out / "console-drift-phone.png", height=1500)


@contextmanager
def console(folder: Path) -> Iterator[str]:
    """A console over the folder: its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [*WATCHGATE, "console", "--config", "watchgate.yaml", "--port", str(port)]
    running = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 60.0
        while not _answers(url):
            if running.poll() is not None or time.monotonic() > ends:
                raise SystemExit("the console did not come up")
            time.sleep(0.2)
        yield url
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


async def take(program: str, base: str, out: Path) -> None:
    async with browsing(program) as page:
        await shoot(page, base, out)
        for error in page.errors:
            print(error, file=sys.stderr)


def draw(program: str, out: Path) -> None:
    """All pictures of drift."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        data = split()
        play(prepare(folder, data), data.honest, folder / "state")
        plot = [*WATCHGATE, "drift", "watchgate.yaml", "--plot", str((out / "drift-plot.png").absolute())]
        subprocess.run(plot, cwd=folder, check=True)
        with console(folder) as base:
            asyncio.run(take(program, base, out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    options = parser.parse_args()
    program = found()
    if program is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    options.out.mkdir(parents=True, exist_ok=True)
    draw(program, options.out)


if __name__ == "__main__":
    main()
