"""`python -m benchmarks.console.beside`: what an open console costs the endpoint, in interleaved bursts of load.

Three pages are open as browsers keep them: the overview (asked for every 5 s) and two lists (every 2 s, never up to
date, so that each answer is a whole list); and somebody reloads the page of one request every second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.data import ROOT
from benchmarks.serving.client import Burst, Order
from benchmarks.serving.process import free_port
from gateway.demo.malformed import PATH, valid
from tests import digits

WATCHGATE = (sys.executable, "-m", "gateway.cli")
OPEN = {"/?range=1h&part=1": 5.0, "/requests/rows": 2.0, "/requests/rows?verdict=reject": 2.0}
RELOAD_S = 1.0
HONEST, NOISE = 200, 6  # requests that are sent in turn: a few are stopped


def environment() -> dict[str, str]:
    return {**os.environ, "BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def prepare(folder: Path) -> Path:
    """A calibrated endpoint in the folder, and the folder of requests to send."""
    digits.write(folder)
    named = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    for command in (("init", *named), ("calibrate",)):
        subprocess.run([*WATCHGATE, *command], cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
    with np.load(folder / "test.npz") as file:
        rows = [*file["x"][:HONEST], *np.random.default_rng(0).integers(0, 17, size=(NOISE, 1, 8, 8)) / 16]
    requests = folder / "requests"
    requests.mkdir()
    for index, row in enumerate(np.random.default_rng(1).permutation(len(rows))):
        body = valid(rows[row])
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        (requests / f"{index:04}").write_bytes(head.encode() + body)
    return requests


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, str]]:
    port, console = free_port(), free_port()
    command = [*WATCHGATE, "serve", "--port", str(port), "--console-port", str(console)]
    server = subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        for url in (f"http://127.0.0.1:{port}/v2/health/ready", f"http://127.0.0.1:{console}/"):
            wait_for(url)
        yield port, f"http://127.0.0.1:{console}"
    finally:
        server.terminate()
        server.wait(40)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 90
    while not answers(url):
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} did not answer")
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def load(port: int, requests: Path, connections: int, seconds: float) -> Burst:
    order = Order(port, connections, 1.0, seconds, str(requests), ())
    command = [sys.executable, "-m", "benchmarks.serving.client"]
    ran = subprocess.run(
        command,
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(),
    )
    return Burst(**json.loads(ran.stdout))


@contextmanager
def watched(url: str) -> Iterator[list[float]]:
    """Pages are open while the block runs; what it yields fills with the milliseconds that each answer took."""
    ended, taken = threading.Event(), list[float]()
    newest = _newest(url)

    def keep(path: str, every_s: float) -> None:
        while not ended.wait(every_s):
            started = time.perf_counter()
            urllib.request.urlopen(url + path, timeout=30).read()
            taken.append(1e3 * (time.perf_counter() - started))

    pages = {**OPEN, f"/requests/{newest}": RELOAD_S}
    threads = [threading.Thread(target=keep, args=page, daemon=True) for page in pages.items()]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _newest(url: str) -> str:
    page = urllib.request.urlopen(f"{url}/requests", timeout=30).read().decode()
    return str(page.split('id="r-')[1].split('"')[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as work:
        requests = prepare(Path(work))
        with served(Path(work)) as (port, url):
            load(port, requests, options.connections, 2.0)
            time.sleep(1.0)
            print(
                "| round | alone, requests/s | with open pages | ratio | page, median ms |\n|---:|---:|---:|---:|---:|"
            )
            for number in range(options.rounds):
                found = {}
                for with_pages in (number % 2 == 0, number % 2 == 1):
                    if with_pages:
                        with watched(url) as taken:
                            found[True] = load(port, requests, options.connections, options.seconds).per_second
                    else:
                        found[False] = load(port, requests, options.connections, options.seconds).per_second
                ratios.append(found[True] / found[False])
                page_ms = statistics.median(taken)
                print(f"| {number} | {found[False]:.0f} | {found[True]:.0f} | {ratios[-1]:.3f} | {page_ms:.0f} |")
    print(f"\nmedian ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
