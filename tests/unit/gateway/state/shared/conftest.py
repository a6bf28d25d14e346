"""Every test of the shared store runs over each of its implementations."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.state.shared.redis import RedisShared
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore
from tests.redisserver import RedisServer, needs_redis, running

Open = Callable[[], SharedStore]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one: it refuses what would not be on one node of several."""
    with running(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes") as server:
        server.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in bytes(server.ask("CLUSTER", "INFO")):  # type: ignore[call-overload]
            pass
        yield server


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis), pytest.param("cluster", marks=needs_redis)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens one more connection to the same store."""
    made: list[SharedStore] = []
    prefix = uuid.uuid4().hex

    def one() -> SharedStore:
        if request.param == "sqlite":
            made.append(SqliteShared.open(tmp_path / "state"))
        else:
            server = request.getfixturevalue("redis_cluster" if request.param == "cluster" else "redis_server")
            made.append(RedisShared.open(server.url, prefix, cluster=request.param == "cluster"))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def store(opened: Open) -> SharedStore:
    return opened()
