"""From a config to the stores that the workers of a host, or all replicas, have together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from gateway.config import Config
from gateway.state.address import address
from gateway.state.principals.file import PRINCIPALS, PrincipalFile
from gateway.state.principals.store import PrincipalStore
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore
from gateway.state.shared.tables import SHARED


class _Closable(Protocol):
    def close(self) -> None: ...


_Store = TypeVar("_Store", bound=_Closable)


def open_shared(config: Config, *, make: bool = True) -> SharedStore:
    """What replicas share, for the thread that asks. A Redis server is first spoken to when something is asked of it.

    Raises:
        OperatorError: the file is another database, or a later release's; or it is missing and not to be made. Or the
            variable that should hold the server's URL doesn't.
        StoreError: it can't be read or written now.
    """
    state = config.state
    if state.kind == "redis":
        from gateway.state.shared.redis import RedisShared

        return RedisShared.open(address(state.url, state.url_env), state.prefix, state.cluster)
    return SqliteShared.open(state.path, make=make)


def open_principals(config: Config, *, make: bool = True) -> PrincipalStore:
    """Marks and how principals ask, for the thread that asks. Raises as `open_shared`."""
    state = config.state
    if state.kind == "redis":
        from gateway.state.principals.redis import RedisPrincipals

        return RedisPrincipals.open(address(state.url, state.url_env), state.prefix, state.cluster)
    return PrincipalFile.open(state.path, make=make)


@contextmanager
def shared_if_any(config: Config) -> Iterator[SharedStore | None]:
    """What replicas share, for the block only; None where no gateway made it yet. Raises as `open_shared`."""
    with _if_any(config, SHARED.name, lambda: open_shared(config, make=False)) as store:
        yield store


@contextmanager
def principals_if_any(config: Config) -> Iterator[PrincipalStore | None]:
    """The principals, for the block only; None where no gateway has counted any. Raises as `open_shared`."""
    with _if_any(config, PRINCIPALS.name, lambda: open_principals(config, make=False)) as store:
        yield store


@contextmanager
def _if_any(config: Config, file: str, opened: Callable[[], _Store]) -> Iterator[_Store | None]:
    if config.state.kind == "sqlite" and not (config.state.path / file).is_file():
        yield None
        return
    store = opened()
    try:
        yield store
    finally:
        store.close()
