"""The same rows in the same buckets give the same integers and alarms, however many replicas bring them to a store."""

from __future__ import annotations

import multiprocessing
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.drift.sums import Sums
from gateway.state.shared.redis import RedisShared
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush, SharedStore
from gateway.state.store import StoreError
from gateway.tracking.drift.evaluation import Evaluation
from gateway.tracking.drift.flusher import DriftFlusher
from gateway.tracking.drift.report import DriftAlarm
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.storeclock import StoreClock
from models.batch import Array, InputSpec
from tests import drifting
from tests.redisserver import RedisServer, needs_redis, running

ROWS, BUCKETS = 240, 6
SPEC = InputSpec("table", np.dtype(np.float64), (3,))
Result = tuple[dict[int, Sums], tuple[DriftAlarm, ...]]


@cache
def watched(bundle: str = "") -> Watched:
    return Watched("m", bundle, drifting.monitor(level=2.0), SPEC, 1.0, 1e9)


@dataclass
class Losing:
    """A store some of whose answers are lost: what was asked is done, and nobody told."""

    store: SharedStore
    lose: bool = False

    def add(self, flush: Flush) -> None:
        self.store.add(flush)
        if self.lose:
            self.lose = False
            raise StoreError("the answer was lost")


class Replica:
    """As in the gateway: what was counted waits, is frozen, and is sent until it is taken."""

    def __init__(self, store: SharedStore, at: Watched) -> None:
        clock = StoreClock()
        clock.sync(store.now)
        self._pending = PendingSums()
        self._flusher = DriftFlusher([at], self._pending, clock)
        self._losing = Losing(store)
        self._at = at

    def count(self, bucket: int, rows: Array, all_rows: Any) -> None:
        sums = self._at.monitor.encoder.sums(all_rows.take(rows))
        self._pending.add(self._at.key, bucket, sums.vector())

    def flush(self, lose: bool = False) -> None:
        self._losing.lose = lose
        with suppress(StoreError):
            self._flusher.exchange(cast(SharedStore, self._losing))


def found(store: SharedStore, at: Watched) -> Result:
    """Sums a bucket, and what alarmed, by whoever evaluates."""
    store.seal(at.key, BUCKETS)
    assert store.late_rows(at.key) == 0
    buckets = store.sealed(at.key, -1)
    told = Evaluation.of(at, at.monitor.start(), buckets).alarms
    alarms = tuple(msgspec.structs.replace(alarm, bundle="") for alarm in told)
    series = len(at.monitor.encoder.names)
    return {number: Sums.from_vector(vector, series) for number, vector in buckets}, alarms


@cache
def table() -> Any:
    return drifting.rows(ROWS, 3, shift=0.8)


def bucket_of(seed: int) -> Array:
    return np.sort(np.random.default_rng(seed).integers(BUCKETS, size=ROWS))


@cache
def reference(seed: int) -> Result:
    """Of one process that adds all by itself, without a store."""
    at, bucket = watched(), bucket_of(seed)
    sums = {n: at.monitor.encoder.sums(table().take(np.flatnonzero(bucket == n))) for n in np.unique(bucket).tolist()}
    buckets = [(number, each.vector()) for number, each in sums.items()]
    return sums, Evaluation.of(at, at.monitor.start(), buckets).alarms


def stores(kind: str, folder: Path, server: RedisServer | None) -> Iterator[SharedStore]:
    while True:
        if kind == "redis":
            assert server is not None
            yield RedisShared.open(server.url)
        else:
            yield SqliteShared.open(folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis"), "--appendfsync", "everysec") as started:
        yield started


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("redis", marks=needs_redis)])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(ROWS)),
    cuts=st.lists(st.integers(1, ROWS - 1), max_size=40),
    replicas=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 20),
    data=st.data(),
)
def test_any_replicas_give_the_same_sums_and_alarms(
    kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    order: list[int],
    cuts: list[int],
    replicas: int,
    seed: int,
    data: st.DataObject,
) -> None:
    at = watched(uuid.uuid4().hex)
    server = request.getfixturevalue("server") if kind == "redis" else None
    opened = [store for store, _ in zip(stores(kind, tmp_path, server), range(replicas), strict=False)]
    working = [Replica(store, at) for store in opened]
    bucket = bucket_of(seed)
    edges = sorted({0, *cuts, ROWS})
    for start, stop in pairwise(edges):
        piece = np.array(order[start:stop])
        replica = working[data.draw(st.integers(0, replicas - 1))]
        for number in np.unique(bucket[piece]).tolist():
            replica.count(number, piece[bucket[piece] == number], table())
        if data.draw(st.booleans()):
            replica.flush(lose=data.draw(st.booleans()))
    for replica in working:
        replica.flush()
    assert found(opened[0], at) == reference(seed)
    assert reference(seed)[1]
    for store in opened:
        store.close()


MANY, MANY_BUCKETS = 50_000, 100


@cache
def many() -> Any:
    return drifting.rows(MANY, 5, shift=0.3)


def many_buckets() -> Array:
    return np.sort(np.random.default_rng(1).integers(MANY_BUCKETS, size=MANY))


def work(url: str, bundle: str, worker: int, workers: int) -> None:
    """One process: its share of the rows, in an order and pieces of its own, with answers that get lost."""
    rng = np.random.default_rng(worker)
    store, at, bucket = RedisShared.open(url), watched(bundle), many_buckets()
    with closing(store):
        replica = Replica(store, at)
        mine = rng.permutation(np.flatnonzero(np.random.default_rng(7).integers(workers, size=MANY) == worker))
        start = 0
        while start < len(mine):
            piece = mine[start : start + int(rng.integers(1, 800))]
            start += len(piece)
            for number in np.unique(bucket[piece]).tolist():
                replica.count(number, piece[bucket[piece] == number], many())
            if rng.random() < 0.7:
                replica.flush(lose=bool(rng.random() < 0.3))
        replica.flush()
        replica.flush()


def together(url: str, workers: int) -> tuple[list[tuple[int, list[int]]], Sequence[DriftAlarm]]:
    """What so many processes brought."""
    at = watched(uuid.uuid4().hex)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(url, at.bundle, n, workers)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    store = RedisShared.open(url)
    store.seal(at.key, MANY_BUCKETS)
    buckets = store.sealed(at.key, -1)
    told = Evaluation.of(at, at.monitor.start(), buckets).alarms
    return [(number, vector.tolist()) for number, vector in buckets], [
        msgspec.structs.replace(alarm, bundle="") for alarm in told
    ]


@pytest.mark.slow
@needs_redis
def test_50_000_rows_through_1_2_and_4_processes(server: RedisServer) -> None:
    at, bucket = watched(), many_buckets()
    sums = [
        (number, at.monitor.encoder.sums(many().take(np.flatnonzero(bucket == number))).vector())
        for number in range(MANY_BUCKETS)
    ]
    alarms = Evaluation.of(at, at.monitor.start(), sums).alarms
    expected = ([(number, vector.tolist()) for number, vector in sums], list(alarms))
    assert alarms
    assert sum(int(vector[0]) for _, vector in sums) == MANY
    for workers in (1, 2, 4):
        assert together(server.url, workers) == expected
