"""One Redis server for all tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redisserver import RedisServer, running


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
