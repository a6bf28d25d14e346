"""Every test of the shared store runs over each of its implementations."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.state.shared.redis import RedisShared
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore
from tests.redisserver import needs_redis

Open = Callable[[], SharedStore]


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
