"""The page of principals, over a real gateway with a few callers.

Three honest callers, one that sends noise, and one that asks the same digit again and again with small changes, as an
attack does that knows nothing but the answers.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.pictures.gallery import Gallery
from benchmarks.watchgate import ran, served
from gateway.demo import digits, network
from gateway.demo.malformed import PATH, valid
from models.batch import Array

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


def draw(folder: Path, gallery: Gallery) -> None:
    """Pictures once everybody has asked."""
    honest = prepare(folder)
    with served(folder) as (port, console):
        send(port, traffic(honest.x))
        time.sleep(2.0)  # until it is all in the store
        pages = {"principals": "/principals", "together": "/requests?together=principal"}
        gallery.take(console, pages, phone="principals-phone")


def prepare(folder: Path) -> digits.Rows:
    """A calibrated endpoint in the folder; honest rows to send."""
    data = digits.load()
    network.export(network.train(data.train), folder / "digits.onnx")
    data.train.save(folder / "train.npz")
    data.holdout.save(folder / "test.npz")
    (folder / "watchgate.yaml").write_text(CONFIG)
    ran(folder, "calibrate")
    return data.honest


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
