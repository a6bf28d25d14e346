"""`python -m benchmarks.principalscene`: pictures of the page of principals, over a real gateway with a few callers.

Three honest callers, one that sends noise, and one that asks the same digit again and again with small changes, as an
attack does that knows nothing but the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.browser import SCHEMES, Page, browsing, found
from benchmarks.serving.process import free_port
from gateway.demo import digits, network
from gateway.demo.malformed import PATH, valid
from models.batch import Array

WATCHGATE = (sys.executable, "-m", "gateway.cli")
PHONE = (390, 844)
ASKED, TRIES = 40, 60
CONFIG = """\
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx, input: {bounds: [0, 1]}}
    reference: train.npz
    holdout: test.npz
    chain: [{kind: contract}, {kind: mahalanobis}]
    queries: {slow_ms: 1}
principal: {header: x-caller, trusted: [127.0.0.0/8]}
telemetry: {sample_clean: 0.5}
"""


def prepare(folder: Path) -> digits.Rows:
    """A calibrated endpoint in the folder; honest rows to send."""
    data = digits.load()
    network.export(network.train(data.train), folder / "digits.onnx")
    data.train.save(folder / "train.npz")
    data.holdout.save(folder / "test.npz")
    (folder / "watchgate.yaml").write_text(CONFIG)
    subprocess.run([*WATCHGATE, "calibrate"], cwd=folder, check=True, capture_output=True)
    return data.honest


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, str]]:
    """The gateway's port and the console's address."""
    port, console = free_port(), free_port()
    command = [*WATCHGATE, "serve", "--port", str(port), "--console-port", str(console)]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for url in (f"http://127.0.0.1:{port}/v2/health/ready", f"http://127.0.0.1:{console}/"):
            _wait(url)
        yield port, f"http://127.0.0.1:{console}"
    finally:
        server.terminate()
        server.wait(40)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 90
    while not _answers(url):
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} did not answer")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def traffic(honest: Array) -> Iterator[tuple[str, Array]]:
    """Who sends which row, in order."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("mobile-app", "branch-office", "night-batch")):
        yield from ((name, row) for row in honest[number * ASKED : (number + 1) * ASKED])
    yield from (("203.0.113.7", rng.integers(0, 17, size=honest.shape[1:]) * digits.STEP) for _ in range(12))
    base = honest[3 * ASKED]
    for _ in range(TRIES):
        steps = rng.integers(-1, 2, size=base.shape) * (base > 0) * digits.STEP
        yield "research-trial", (base + steps).clip(0.0, 1.0)


def send(port: int, rows: Iterator[tuple[str, Array]]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for name, row in rows:
        head = {"content-type": "application/json", "x-caller": name}
        connection.request("POST", PATH, valid(row.astype(np.float32)), head)
        connection.getresponse().read()
        time.sleep(0.02)  # a memory of queries compares only so many rows a second
    connection.close()


async def shoot(page: Page, url: str, out: Path) -> None:
    for scheme in SCHEMES:
        await page.look(scheme)
        await page.open(f"{url}/principals")
        await page.picture(out / f"console-principals-{scheme}.png", height=1100)
        await page.open(f"{url}/requests?together=principal")
        await page.picture(out / f"console-together-{scheme}.png", height=1100)
    await page.look("light", *PHONE)
    await page.open(f"{url}/principals")
    await page.picture(out / "console-principals-phone.png", height=1100)


def draw(program: str, out: Path) -> None:
    """Makes the pictures."""

    async def take(url: str) -> None:
        async with browsing(program) as page:
            await shoot(page, url, out)
            for error in page.errors:
                print(error, file=sys.stderr)

    with tempfile.TemporaryDirectory() as work:
        honest = prepare(Path(work))
        with served(Path(work)) as (port, url):
            send(port, traffic(honest.x))
            time.sleep(2.0)
            asyncio.run(take(url))


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
