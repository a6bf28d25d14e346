"""`python -m benchmarks.console.beside`: what an open console costs the endpoint, in interleaved bursts of load.

Three pages are open as browsers keep them: the overview (asked for every 5 s) and two lists (every second, never up to
date, so that each answer is a whole list); and somebody reloads the page of one request every second.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.serving.client import Burst, Order
from benchmarks.serving.load import sent
from benchmarks.tables import table, write
from benchmarks.watchgate import ran, served
from gateway.demo.malformed import PATH, valid
from tests import digits

OPEN = {"/?range=1h&part=1": 5.0, "/requests/rows": 1.0, "/requests/rows?verdict=reject": 1.0}
RELOAD_S = 1.0
CONNECTIONS = 8
PACKAGES = ("bentoml", "onnxruntime", "numpy")
HONEST, NOISE = 200, 6  # requests that are sent in turn: a few are stopped


def prepare(folder: Path) -> Path:
    """A calibrated endpoint in the folder, and the folder of requests to send."""
    digits.write(folder)
    named = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    ran(folder, "init", *named)
    ran(folder, "calibrate")
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


def load(port: int, requests: Path, seconds: float) -> Burst:
    return sent(Order(port, CONNECTIONS, 1.0, seconds, str(requests), ()))


@contextmanager
def watched(url: str) -> Iterator[list[float]]:
    """Pages are open while the block runs; what it yields fills with the milliseconds that each answer took."""
    ended, taken = threading.Event(), list[float]()
    newest = _newest(url)

    def keep(path: str, every_s: float) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)  # a browser runs on another machine
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


@dataclass(frozen=True)
class Turn:
    """One burst: requests a second, the share of a core that the console took, and how long its pages took."""

    per_second: float
    console_share: float
    pages_ms: list[float]


def turn(port: int, url: str, requests: Path, seconds: float, *, opened: bool) -> Turn:
    console = console_of(url)
    before, started = _cpu_s(console), time.monotonic()
    if opened:
        with watched(url) as taken:
            burst = load(port, requests, seconds)
    else:
        taken, burst = [], load(port, requests, seconds)
    share = (_cpu_s(console) - before) / (time.monotonic() - started)
    return Turn(burst.per_second, share, taken)


def console_of(url: str) -> psutil.Process:
    """The console's process, by its port."""
    port = url.rsplit(":", 1)[1]
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "console" in words and port in words:
            return process
    raise SystemExit(f"no console on port {port}")


def _cpu_s(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    rounds, seconds = (2, 3.0) if run.quick else (8, 10.0)
    turns: dict[bool, list[Turn]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as work:
        requests = prepare(Path(work))
        with served(Path(work)) as (port, url):
            load(port, requests, 2.0)
            time.sleep(1.0)
            for number in range(rounds):
                for opened in (number % 2 == 0, number % 2 == 1):
                    turns[opened].append(turn(port, url, requests, seconds, opened=opened))
    return keep(turns, run)


def keep(turns: dict[bool, list[Turn]], run: Run) -> Path:
    """Writes the page; gives its path."""
    pairs = list(zip(turns[True], turns[False], strict=True))
    ratios = [opened.per_second / alone.per_second for opened, alone in pairs]
    rows = [
        [
            str(number),
            f"{alone.per_second:.0f}",
            f"{opened.per_second:.0f}",
            f"{ratio:.3f}",
            f"{100 * opened.console_share:.1f} %",
            f"{statistics.median(opened.pages_ms):.0f}",
        ]
        for number, ((opened, alone), ratio) in enumerate(zip(pairs, ratios, strict=True))
    ]
    every = ", ".join(f"`{path}` every {every_s:g} s" for path, every_s in OPEN.items())
    text = "\n\n".join(
        [
            "# What open console pages cost the endpoint",
            f"`{run.command}`; {machine.sentence(run.facts)}",
            f"One worker, {CONNECTIONS} connections, each as fast as it is answered, one row a request. Open pages: "
            f"{every}, all of them answered in full; and the page of one request, reloaded every {RELOAD_S:g} s.",
            table(
                ["round", "alone, requests/s", "with open pages", "ratio", "console, of a core", "page, median ms"],
                rows,
            ),
            f"Median ratio {statistics.median(ratios):.3f} (rounds: {min(ratios):.3f} to {max(ratios):.3f}).",
        ]
    )
    document = {
        "facts": run.facts,
        "alone_per_second": [alone.per_second for _, alone in pairs],
        "opened_per_second": [opened.per_second for opened, _ in pairs],
        "console_share": [opened.console_share for opened, _ in pairs],
        "ratio": statistics.median(ratios),
    }
    return write("console-beside", text, document, run.folder)[0]


if __name__ == "__main__":
    sys.exit(main("benchmarks.console.beside", __doc__, PACKAGES, measure))
