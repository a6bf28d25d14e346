from __future__ import annotations

import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from gateway.state.redislink import RedisLink
from gateway.state.shared import bounds
from gateway.state.shared.redis import RedisShared
from gateway.state.shared.store import Flush
from gateway.state.store import StoreError
from tests.redisserver import RedisServer, needs_redis, running

pytestmark = needs_redis


def opened(server: RedisServer) -> tuple[RedisShared, str]:
    prefix = uuid.uuid4().hex
    return RedisShared.open(server.url, prefix), f"{{{prefix}}}:1:"


def test_a_clock_set_back_leaves_windows_sane(redis_server: RedisServer) -> None:
    store, prefix = opened(redis_server)
    ahead = store.now() + 3600.0  # what was told before the clock was set back by an hour
    redis_server.ask("HSET", f"{prefix}clock", "clock", str(ahead), "now", str(ahead))
    told, began = [store.now()], time.monotonic()
    assert store.lease("drift", "a", 0.1)
    while time.monotonic() < began + 0.6:
        told.append(store.now())
    assert told == sorted(told)
    assert told[0] == pytest.approx(ahead, abs=0.001)
    assert 0.2 <= told[-1] - told[0] <= 0.5
    assert store.lease("drift", "b", 0.1)


def test_all_that_is_kept_ends_some_day(redis_server: RedisServer) -> None:
    store, prefix = opened(redis_server)
    store.add(Flush("a", 1, {("m", 3): np.array([1, 2])}))
    store.seal("m", 3)
    store.add(Flush("a", 2, {("m", 3): np.array([1, 2])}))
    store.swap("state", 0, b"")
    store.lease("drift", "a", 1.0)
    store.log("m", [("id", b"")], 60.0, 100)
    names = redis_server.ask("KEYS", f"{prefix}*")
    assert isinstance(names, list)
    assert len(names) == 11
    forever = {name for name in names if redis_server.ask("TTL", name) == -1}
    assert forever == {f"{prefix}clock".encode()}


def test_there_are_so_many_buckets_and_values(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BUCKETS", 5)
    monkeypatch.setattr(bounds, "VALUES", 3)
    store, prefix = opened(redis_server)
    for n in range(20):
        store.add(Flush("a", n + 1, {("m", n): np.array([1])}))
        store.put_once(f"v{n:02d}", b"", 1e6 + n)
    store.seal("m", 20)
    assert [bucket for bucket, _ in store.sealed("m", -1)] == list(range(15, 20))
    assert list(store.values("v")) == ["v17", "v18", "v19"]
    sums = redis_server.ask("KEYS", f"{prefix}sums:m:bucket:*")
    assert isinstance(sums, list)
    assert len(sums) == 5


def test_a_server_that_was_restarted_has_everything_and_is_found_again(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        store, _ = opened(server)
        store.add(Flush("a", 1, {("m", 3): np.array([1, 2])}))
        server.kill()
        with pytest.raises(StoreError, match=f"redis://127.0.0.1:{server.port}/0: "):
            store.add(Flush("a", 2, {("m", 3): np.array([1, 2])}))
        server.start()
        with pytest.raises(StoreError, match="it will be asked again"):
            store.now()
        time.sleep(1.1)
        store.add(Flush("a", 1, {("m", 3): np.array([1, 2])}))
        store.add(Flush("a", 2, {("m", 3): np.array([1, 2])}))
        store.seal("m", 3)
        ((_, sums),) = store.sealed("m", -1)
        assert sums.tolist() == [2, 4]


def test_a_server_that_hangs_costs_a_second_and_then_nothing(redis_server: RedisServer) -> None:
    store = RedisShared(RedisLink(redis_server.url, uuid.uuid4().hex))
    store.now()
    redis_server.ask("CLIENT", "PAUSE", 1500)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"[Tt]imeout|timed out"):
        store.now()
    middle = time.monotonic()
    assert middle - began < 1.4
    with pytest.raises(StoreError, match="did not answer"):
        store.now()
    assert time.monotonic() - middle < 0.1
    redis_server.ask("CLIENT", "UNPAUSE")


def test_a_password_is_not_told(redis_server: RedisServer) -> None:
    store = RedisShared.open(f"redis://me:hidden@127.0.0.1:{redis_server.port}/0")
    with pytest.raises(StoreError) as told:
        store.now()
    assert "hidden" not in str(told.value)
