"""Drift of rows that real endpoints serve: counted by two workers, evaluated once, gone on with after a restart."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest

from detectors.drift.baseline import Baseline
from detectors.drift.encoder import Encoder, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule
from detectors.drift.sums import Sums
from detectors.drift.thresholds import Thresholds
from gateway.app import App
from gateway.endpoint import Endpoint
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.report import DriftAlarm, DriftStatus, alarm_prefix, status_name, sums_key
from gateway.tracking.tracker import Tracker
from models.batch import Array, Batch
from tests import served
from tests.waiting import awaited
from tests.wired import tensor

DRIFT = {"window": 200, "one_false_alarm_in_rows": 5000, "every": "1s"}
LATENESS_S = 1.0


def honest(n: int, seed: int) -> Array:
    """One in twelve has a value over 0.8, of which half are over 0.9: flagged and rejected."""
    x = np.random.default_rng(seed).uniform(0.0, 0.75, size=(n, 12)).astype(np.float32)
    x[::12, 0] = np.random.default_rng(seed).uniform(0.8, 1.0, size=len(x[::12]))
    return x


def shifted(n: int, seed: int) -> Array:
    return np.asarray(np.clip(honest(n, seed) + np.float32(0.15) * (np.arange(12) == 3), 0, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Monitor:
    """With thresholds of 5 standard errors, which nothing was simulated for."""
    _, backend = served.table_model(tmp_path_factory.mktemp("model"))
    x = honest(4000, 0)
    reference = Rows(x, backend.predict(Batch(x)).logits, x.max(axis=1) > 0.8)
    encoder = Encoder.fit(reference, columns=[f"c{n}" for n in range(12)])
    schedule = Schedule(200, 5000)
    shape = (4, len(schedule.windows))
    limits = Thresholds(np.full(shape, 2.5), np.full(shape, 0.25), 10.0)
    return Monitor(encoder, Baseline.fit(encoder, encoder.series(reference)), limits, schedule)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DriftEvaluator.__init__, "__defaults__", (None, LATENESS_S, 5.0))


def made(folder: Path, monitor: Monitor) -> Endpoint:
    model = served.table_model(folder)
    endpoint = served.endpoint("m", model, served.guarded(model[1]), drift=DRIFT)
    return replace(endpoint, monitor=monitor)


@asynccontextmanager
async def worker(folder: Path, endpoint: Endpoint) -> AsyncIterator[tuple[httpx.AsyncClient, Tracker, App]]:
    """One of the workers that share the folder."""
    with served.tracked(served.configured(folder, [endpoint]), endpoint) as (app, tracker):
        async with served.client(app) as caller:
            yield caller, tracker, app


async def ask(caller: httpx.AsyncClient, rows: Array) -> int:
    body = {"inputs": [tensor(rows.ravel().tolist(), rows.shape)]}
    return (await caller.post("/v2/models/m/infer", json=body)).status_code


def status(store: SqliteShared) -> DriftStatus | None:
    kept = store.load(status_name("m", served.VERSION))
    return None if kept is None else msgspec.json.decode(kept.value, type=DriftStatus)


def rows_seen(store: SqliteShared) -> int:
    found = status(store)
    return 0 if found is None else found.rows


def alarms(store: SqliteShared) -> list[DriftAlarm]:
    return [msgspec.json.decode(value, type=DriftAlarm) for value in store.values(alarm_prefix("m")).values()]


def in_store(store: SqliteShared, series: int) -> Sums:
    key = sums_key("m", served.VERSION)
    store.seal(key, 2**40)
    vectors = [vector for _, vector in [*store.sealed(key, 0), *store.late(key, 0)]]
    return Sums.from_vector(np.sum(vectors, axis=0), series)


async def test_drift_of_what_two_workers_serve_alarms_once_and_goes_on_after_a_restart(
    tmp_path: Path, monitor: Monitor
) -> None:
    endpoint = made(tmp_path, monitor)
    store = SqliteShared.open(tmp_path / "state")
    clean, late, last = honest(600, 1), shifted(400, 2), shifted(200, 3)
    async with worker(tmp_path, endpoint) as one, worker(tmp_path, endpoint) as two:
        for number, row in enumerate(clean[:100]):
            assert await ask((one, two)[number % 2][0], row[None]) == (403 if row.max() > 0.9 else 200)
        for number in range(100, 600, 10):
            await ask((one, two)[number % 2][0], clean[number : number + 10])
        await awaited(lambda: rows_seen(store) == 600)
        assert not alarms(store)
        began = time.time()
        for number in range(0, 400, 10):
            await ask((one, two)[number // 10 % 2][0], late[number : number + 10])
        await awaited(lambda: rows_seen(store) == 1000)
        both = [one[1].stats(), two[1].stats()]
    found = status(store)
    assert found is not None
    assert found.drifted
    assert "c3" in [series.name for series in found.series if series.drifted]
    assert found.since_s is not None
    assert found.since_s >= began - 2.0
    first = alarms(store)
    assert {alarm.series for alarm in first} == {series.name for series in found.series if series.drifted}
    assert sum(stats["drift_alarms"] for stats in both) == len(first)
    assert sum(stats["drift_rows"] for stats in both) == 1000
    assert both[0]["drift_evaluations"] == 0 or both[1]["drift_evaluations"] == 0
    async with worker(tmp_path, endpoint) as (caller, tracker, _):
        for number in range(0, 200, 10):
            await ask(caller, last[number : number + 10])
        await awaited(lambda: rows_seen(store) == 1200)
        assert tracker.stats()["drift_pending_rows"] == 0
    assert [alarm for alarm in alarms(store) if alarm.series in {each.series for each in first}] == first
    x = np.concatenate([clean, late, last])
    logits = endpoint.chain.backend.predict(Batch(x)).logits
    assert in_store(store, len(monitor.names) - 1) == monitor.encoder.sums(Rows(x, logits, x.max(axis=1) > 0.8))
    store.close()


async def test_an_endpoint_that_only_watches_is_counted_alike(tmp_path: Path, monitor: Monitor) -> None:
    model = served.table_model(tmp_path)
    chain = served.guarded(model[1])
    chain = replace(chain, policy=replace(chain.policy, shadow=True))
    endpoint = replace(served.endpoint("m", model, chain, drift=DRIFT, mode="shadow"), monitor=monitor)
    x = honest(60, 1)
    async with worker(tmp_path, endpoint) as (caller, _, _):
        assert [await ask(caller, row[None]) for row in x] == [200] * 60
    store = SqliteShared.open(tmp_path / "state")
    logits = endpoint.chain.backend.predict(Batch(x)).logits
    assert in_store(store, len(monitor.names) - 1) == monitor.encoder.sums(Rows(x, logits, x.max(axis=1) > 0.8))
    store.close()


async def test_an_endpoint_without_traffic_stays_quiet(tmp_path: Path, monitor: Monitor) -> None:
    endpoint = made(tmp_path, monitor)
    async with worker(tmp_path, endpoint) as (_, tracker, _):
        await awaited(lambda: tracker.stats()["drift_flushed_s"] > 0)
    store = SqliteShared.open(tmp_path / "state")
    assert status(store) is None
    assert not store.values("")
    store.close()
