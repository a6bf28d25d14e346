"""Two hosts that share a Redis server, which goes away and comes back while they serve."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from detectors.drift.baseline import Baseline
from detectors.drift.encoder import Encoder, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule
from detectors.drift.sums import Sums
from detectors.drift.thresholds import Thresholds
from detectors.queries.likeness import Likeness
from gateway.endpoint import Endpoint
from gateway.state.config import StateConfig
from gateway.state.principals.redis import RedisPrincipals
from gateway.state.redislink import RedisLink
from gateway.state.shared.redis import RedisShared
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.report import DriftStatus, status_name, sums_key
from gateway.tracking.queries.config import QueriesConfig
from gateway.tracking.tracker import Tracker
from models.batch import Array, Batch
from tests import served
from tests.redisserver import RedisServer, needs_redis, running
from tests.waiting import until
from tests.wired import tensor

pytestmark = needs_redis
DRIFT = {"window": 200, "one_false_alarm_in_rows": 5000, "every": "1s"}
LATENESS_S = 1.0


def rows(n: int, seed: int) -> Array:
    """One in twelve has a value over 0.8, of which half are over 0.9: flagged and rejected."""
    x = np.random.default_rng(seed).uniform(0.0, 0.75, size=(n, 12)).astype(np.float32)
    x[::12, 0] = np.random.default_rng(seed).uniform(0.8, 1.0, size=len(x[::12]))
    return x


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Monitor:
    """With thresholds that were not simulated."""
    _, backend = served.table_model(tmp_path_factory.mktemp("model"))
    x = rows(2000, 0)
    reference = Rows(x, backend.predict(Batch(x)).logits, x.max(axis=1) > 0.8)
    encoder, schedule = Encoder.fit(reference, columns=[f"c{n}" for n in range(12)]), Schedule(200, 5000)
    shape = (4, len(schedule.windows))
    thresholds = Thresholds(np.full(shape, 2.5), np.full(shape, 0.25), 5.0)
    return Monitor(encoder, Baseline.fit(encoder, encoder.series(reference)), thresholds, schedule)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DriftEvaluator.__init__, "__defaults__", (None, LATENESS_S, 5.0))


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path / "redis") as server:
        yield server


def ours(server: RedisServer) -> RedisLink:
    """The test's own link: the hosts' rests for a while after a failure."""
    return RedisLink(server.url, "watchgate")


@dataclass
class Host:
    """A server with a state folder of its own."""

    client: httpx.Client
    tracker: Tracker
    endpoint: Endpoint

    def ask(self, row: Array) -> int:
        body = {"inputs": [tensor(row.tolist(), (1, 12))]}
        return self.client.post("/v2/models/m/infer", json=body).status_code

    def metric(self, name: str) -> float:
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        return next(sample.value for family in families for sample in family.samples if sample.name == name)


@contextmanager
def host(folder: Path, url: str, monitor: Monitor) -> Iterator[Host]:
    folder.mkdir()
    model = served.table_model(folder)
    made = served.endpoint("m", model, served.guarded(model[1]), drift=DRIFT, queries=QueriesConfig(steps=("flag",)))
    endpoint = replace(made, monitor=monitor, likeness=Likeness.fit(rows(2000, 9), model[1].spec))
    state = StateConfig(kind="redis", url=url, path=folder / "state")
    config = served.configured(folder, [endpoint]).model_copy(update={"state": state})
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        served.tracked(config, endpoint) as (app, tracker),
        serving(app, listener) as address,
        httpx.Client(base_url=address, timeout=30.0) as client,
    ):
        yield Host(client, tracker, endpoint)


@contextmanager
def serving(app: object, listener: socket.socket) -> Iterator[str]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def hosts(folder: Path, url: str, monitor: Monitor, count: int = 2) -> Iterator[list[Host]]:
    with ExitStack() as stack:
        yield [stack.enter_context(host(folder / f"host{n}", url, monitor)) for n in range(count)]


def in_store(store: RedisShared, monitor: Monitor) -> Sums:
    key = sums_key("m", served.VERSION)
    vectors = [vector for _, vector in [*store.sealed(key, 0), *store.late(key, 0)]]
    series = len(monitor.encoder.names)
    return Sums.from_vector(np.sum(vectors, axis=0), series) if vectors else monitor.encoder.zero()


def counted(monitor: Monitor, endpoint: Endpoint, x: Array) -> Sums:
    """Of one process that adds all by itself."""
    logits = [endpoint.chain.backend.predict(Batch(row[None])).logits for row in x]
    return monitor.encoder.sums(Rows(x, np.concatenate(logits), x.max(axis=1) > 0.8))  # type: ignore[arg-type]


def ask_for(seconds: float, working: list[Host], x: Array, start: int, pause_s: float = 0.005) -> int:
    """Asks in turns, a row at a time; up to which row."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        assert working[start % len(working)].ask(x[start]) == (403 if x[start].max() > 0.9 else 200)
        start += 1
        time.sleep(pause_s)
    return start


@pytest.mark.parametrize("outage_s", [2.5, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_store_that_goes_away_and_comes_back_costs_no_request_and_no_count(
    tmp_path: Path, monitor: Monitor, redis_server: RedisServer, outage_s: float
) -> None:
    x = rows(20_000, 1)
    store = RedisShared(ours(redis_server))
    with hosts(tmp_path, redis_server.url, monitor) as working:
        done = ask_for(1.0, working, x, 0)
        until(lambda: all(each.metric("watchgate_tracker_store_reached") == 1.0 for each in working))
        redis_server.kill()
        done = ask_for(outage_s, working, x, done)
        for each in working:
            assert each.metric("watchgate_tracker_store_reached") == 0.0
            assert each.metric("watchgate_drift_pending_rows") > 0.0
            assert each.metric("watchgate_drift_flush_age_seconds") > outage_s - 1.5
        redis_server.start()
        done = ask_for(0.5, working, x, done)
        until(lambda: sum(each.tracker.stats()["drift_rows"] for each in working) == done)
        until(lambda: all(each.tracker.stats()["drift_pending_rows"] == 0 for each in working))
        until(lambda: in_store(store, monitor).rows == done)
        assert in_store(store, monitor) == counted(monitor, working[0].endpoint, x[:done])
        assert all(each.metric("watchgate_drift_lost_rows_total") == 0.0 for each in working)
        principals = RedisPrincipals(ours(redis_server))
        until(lambda: principals.queries() == {"127.0.0.1": done})


def test_hosts_that_start_without_their_store_find_it_later(
    tmp_path: Path, monitor: Monitor, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    x = rows(2000, 2)
    redis_server.kill()
    with hosts(tmp_path, redis_server.url, monitor) as working:
        assert f"state.url: redis://127.0.0.1:{redis_server.port}/0: " in caplog.text
        done = ask_for(0.5, working, x, 0)
        redis_server.start()
        done = ask_for(0.5, working, x, done)
        store = RedisShared(ours(redis_server))
        until(lambda: in_store(store, monitor).rows == done)
        assert in_store(store, monitor) == counted(monitor, working[0].endpoint, x[:done])


def test_an_attack_spread_over_hosts_is_seen_whole(tmp_path: Path, monitor: Monitor, redis_server: RedisServer) -> None:
    noise = np.random.default_rng(1).normal(size=(8, 12))
    alike = np.clip(rows(20, 3)[1] + 0.01 * noise, 0, 0.75).astype(np.float32)
    with hosts(tmp_path, redis_server.url, monitor) as working:
        for number, row in enumerate(alike):  # each host sees too few to say anything
            before = working[number % 2].tracker.stats()["new_rows"]
            assert working[number % 2].ask(row) == 200
            until(lambda at=working[number % 2], n=before: at.tracker.stats()["new_rows"] > n)  # type: ignore[misc]
            time.sleep(0.6)
            if all("127.0.0.1" in each.tracker.marks.current for each in working):
                break
        assert number < 6
        secrets = {(tmp_path / name / "state" / "queries.secret").read_bytes() for name in ("host0", "host1")}
        assert len(secrets) == 1
        assert RedisPrincipals(ours(redis_server)).lift("127.0.0.1")
        until(lambda: not any(each.tracker.marks.current for each in working))


@pytest.mark.slow  # time goes at half its rate
def test_windows_stay_sane_when_the_servers_clock_is_set_back(
    tmp_path: Path, monitor: Monitor, redis_server: RedisServer
) -> None:
    x = rows(4000, 4)
    store = RedisShared(ours(redis_server))
    told: list[DriftStatus] = []

    def at_most(rows: int) -> bool:
        kept = store.load(status_name("m", served.VERSION))
        told.extend([] if kept is None else [msgspec.json.decode(kept.value, type=DriftStatus)])
        return bool(told) and told[-1].rows == rows

    with hosts(tmp_path, redis_server.url, monitor, count=1) as working:
        done = ask_for(1.0, working, x, 0)
        before = store.now()
        ahead = str(before + 3600.0)  # as it is for an hour after a clock was set back by an hour
        redis_server.ask("HSET", "{watchgate}:1:clock", "clock", ahead, "now", ahead)
        done = ask_for(3.0, working, x, done)
        until(lambda: at_most(done))
        assert store.now() >= before + 3600.0
        assert store.late_rows(sums_key("m", served.VERSION)) == 0
    assert [status.at_s for status in told] == sorted(status.at_s for status in told)
    buckets = [bucket for bucket, _ in store.sealed(sums_key("m", served.VERSION), 0)]
    assert buckets == sorted(set(buckets))
    assert in_store(store, monitor) == counted(monitor, working[0].endpoint, x[:done])
