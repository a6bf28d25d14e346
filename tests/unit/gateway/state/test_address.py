from __future__ import annotations

import pytest

from gateway.errors import OperatorError
from gateway.state.address import address, is_address, shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6380/3",
        "rediss://user:p%40ss@cache.example:6379/0",
        "redis://:secret@10.0.0.1",
        "redis://[::1]:6379",
        "unix:///run/redis.sock",
    ],
)
def test_what_a_client_takes(url: str) -> None:
    assert is_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost:6379",
        "redis://",
        "redis:///0",
        "redis://localhost:port",
        "redis://localhost:99999",
        "redis://localhost/name",
        "redis://localhost/0#x",
        "unix://",
        "redis://[::1",
    ],
)
def test_what_it_does_not(url: str) -> None:
    assert not is_address(url)


def test_a_password_is_not_shown() -> None:
    assert shown("redis://me:hidden@host:1/0") == "redis://me:***@host:1/0"
    assert shown("rediss://:hidden@host") == "rediss://:***@host"
    assert shown("redis://host:6379/0") == "redis://host:6379/0"


def test_a_variable_may_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "redis://:hidden@host")
    assert address(None, "WHERE") == "redis://:hidden@host"
    assert address("unix:///run/redis.sock", None) == "unix:///run/redis.sock"
    monkeypatch.setenv("WHERE", "http://me:hidden@host")
    with pytest.raises(OperatorError, match=r"state.url_env: WHERE: expected .*, found 'http://me:\*\*\*@host'"):
        address(None, "WHERE")
    monkeypatch.delenv("WHERE")
    with pytest.raises(OperatorError, match=r"state.url_env: WHERE: expected .*, found nothing"):
        address(None, "WHERE")
