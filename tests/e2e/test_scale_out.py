"""The real service with several workers on a Redis server that goes away, and a worker that is killed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detectors.drift.sums import Sums
from gateway.configfile import read
from gateway.state.redislink import RedisLink
from gateway.state.shared.redis import RedisShared
from gateway.tracking.drift.report import sums_key
from gateway.training.loading import load_endpoints
from models.batch import Array
from tests import digits
from tests.command import ask, is_worker, run, serving
from tests.ports import free_port
from tests.redisserver import RedisServer, needs_redis, running
from tests.waiting import until
from tests.wired import tensor

pytestmark = [pytest.mark.slow, needs_redis, pytest.mark.timeout(400)]
WORKERS = 3
CONFIG = """\
endpoints:
  digits:
    model: {{kind: onnx, path: digits.onnx, input: {{bounds: [0, 1]}}}}
    reference: train.npz
    holdout: test.npz
    budget: {{flag: 0.1, reject: 0.05}}
    chain: [{{kind: contract}}, {{kind: mahalanobis}}]
    drift: {{window: 200, every: 2s, one_false_alarm_in_rows: 2000}}
state: {{kind: redis, url: "{url}", path: state/}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Path:
    found = tmp_path_factory.mktemp("digits")
    digits.write(found)
    (found / "watchgate.yaml").write_text(CONFIG.format(url=server.url))
    ran = run(found, "calibrate")
    assert ran.returncode == 0, ran.stderr
    return found


@dataclass
class Served:
    """A gateway, and how many rows it was asked in all."""

    port: int
    pid: int
    rows: int = 0


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Served]:
    port = free_port()
    with serving(folder, port, workers=WORKERS) as process:
        until(lambda: metrics(port).get("watchgate_workers") == WORKERS, 60.0)
        yield Served(port, process.pid)


@pytest.fixture
def stored(folder: Path, server: RedisServer) -> Callable[[], Sums]:
    """Reads all that the replicas brought so far."""
    [endpoint] = load_endpoints(read(folder / "watchgate.yaml")).values()
    assert endpoint.monitor is not None
    encoder = endpoint.monitor.encoder
    store, key = RedisShared(RedisLink(server.url, "watchgate")), sums_key("digits", endpoint.info.version)

    def read_all() -> Sums:
        store.seal(key, 0)  # as far as it was sealed
        found = [*store.sealed(key, -1), *store.late(key, -1)]
        parts = [Sums.from_vector(vector, len(encoder.names)) for _, vector in found]
        return sum(parts, start=encoder.zero())

    return read_all


def metrics(port: int) -> dict[str, float]:
    """By name, the largest of each; {} where a worker is just gone."""
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10.0).text
    except httpx.TransportError:
        return {}
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {s.name: max(o.value for o in samples if o.name == s.name) for s in samples}


class Load:
    """Callers that ask a row at a time, each time over a new connection, so that all workers get some."""

    def __init__(self, port: int, folder: Path, callers: int = 2, pause_s: float = 0.02) -> None:
        with np.load(folder / "test.npz") as arrays:
            self._x: Array = arrays["x"]
        self._port = port
        self._pause_s = pause_s
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(callers)]
        self.answered: list[tuple[float, int]] = []  # when, and the status
        self.broken: list[float] = []  # connections

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, number: int) -> None:
        for n in itertools.count(number, len(self._threads)):
            if self._ending.wait(self._pause_s):
                return
            body = {"inputs": [tensor(self._x[n % len(self._x)].ravel().tolist(), (1, 1, 8, 8))]}
            try:
                status, _ = ask(self._port, "POST", "/v2/models/digits/infer", body)
                self.answered.append((time.monotonic(), status))
            except (OSError, HTTPException):
                self.broken.append(time.monotonic())


def test_a_store_that_is_gone_for_half_a_minute_costs_no_request_and_no_count(
    gateway: Served, folder: Path, server: RedisServer, stored: Callable[[], Sums]
) -> None:
    port, before = gateway.port, gateway.rows
    with Load(port, folder) as load:
        time.sleep(5.0)
        server.kill()
        time.sleep(30.0)
        stale = metrics(port)
        server.start()
        time.sleep(5.0)
    gateway.rows += len(load.answered)
    assert not load.broken
    assert {status for _, status in load.answered} <= {200, 403}
    assert len(load.answered) > 200
    assert stale["watchgate_drift_flush_age_seconds"] > 25.0
    assert stale["watchgate_drift_pending_rows"] > 0
    until(lambda: stored().rows >= before + len(load.answered), 60.0)
    time.sleep(3.0)
    found = stored()
    assert found.rows == before + len(load.answered)
    assert found.counts[-1].sum() == found.rows  # of the series that counts all rows, flagged ones too
    now = metrics(port)
    assert now["watchgate_drift_lost_rows_total"] == 0
    assert now["watchgate_drift_flush_age_seconds"] < 10.0


def test_a_killed_worker_loses_its_last_second_at_most(
    gateway: Served, folder: Path, stored: Callable[[], Sums]
) -> None:
    before = gateway.rows
    with Load(gateway.port, folder, callers=3) as load:
        time.sleep(4.0)
        next(child for child in psutil.Process(gateway.pid).children(recursive=True) if is_worker(child)).kill()
        killed = time.monotonic()
        time.sleep(4.0)
    lost_at_most = sum(killed - 1.0 <= at <= killed + 0.2 for at, _ in load.answered)
    assert {status for _, status in load.answered} <= {200, 403}
    assert lost_at_most < len(load.answered) / 2
    until(lambda: stored().rows >= before + len(load.answered) - lost_at_most, 60.0)
    time.sleep(8.0)
    assert stored().rows <= before + len(load.answered) + len(load.broken)
