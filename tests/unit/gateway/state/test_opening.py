"""Which store a config opens."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Config
from gateway.errors import OperatorError
from gateway.state.opening import open_principals, open_shared, principals_if_any
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.redis import RedisPrincipals
from gateway.state.shared.redis import RedisShared
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.store import StoreError
from tests.redisserver import RedisServer, needs_redis


def config(folder: Path, **state: Any) -> Config:
    endpoint = {"model": {"kind": "onnx", "path": "m.onnx"}, "reference": "r.npz"}
    return Config.model_validate({"endpoints": {"m": endpoint}, "state": {"path": folder, **state}})


def test_files_in_the_state_folder(tmp_path: Path) -> None:
    stated = config(tmp_path)
    for read in (open_principals, open_shared):
        with pytest.raises(OperatorError, match="found no file"):
            read(stated, make=False)
    with principals_if_any(stated) as store:
        assert store is None
    with closing(open_principals(stated)) as principals, closing(open_shared(stated)) as shared:
        assert isinstance(principals, PrincipalFile)
        assert isinstance(shared, SqliteShared)
        assert sorted(file.name for file in tmp_path.glob("*.db")) == ["principals.db", "shared.db"]
    with principals_if_any(stated) as store:
        assert store is not None
        assert store.queries() == {}


@needs_redis
def test_a_server(tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", redis_server.url)
    one = config(tmp_path, kind="redis", url_env="WHERE", prefix=uuid.uuid4().hex)
    other = config(tmp_path, kind="redis", url=redis_server.url, prefix=uuid.uuid4().hex)
    with closing(open_principals(one)) as principals, closing(open_shared(one)) as shared:
        assert isinstance(principals, RedisPrincipals)
        assert isinstance(shared, RedisShared)
        principals.add({}, {"a": 1}, time.time_ns())
        assert shared.swap("state", 0, b"one")
    with principals_if_any(one) as mine, principals_if_any(other) as theirs:
        assert mine is not None
        assert theirs is not None
        assert (mine.queries(), theirs.queries()) == ({"a": 1}, {})
    assert open_shared(other).load("state") is None
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    stated = config(tmp_path, kind="redis", url="redis://127.0.0.1:1")
    shared = open_shared(stated)
    with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:1: "):
        shared.now()
