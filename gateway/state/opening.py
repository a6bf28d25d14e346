"""From a config to the store of principals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.config import Config
from gateway.state.address import address
from gateway.state.principals.file import PRINCIPALS, PrincipalFile
from gateway.state.principals.store import PrincipalStore


def open_principals(config: Config, *, make: bool = True) -> PrincipalStore:
    """The store, for the thread that asks. A Redis server is first spoken to when something is asked of the store.

    Raises:
        OperatorError: the file is another database, or a later release's; or it is missing and not to be made. Or the
            variable that should hold the server's URL doesn't.
        StoreError: it can't be read or written now.
    """
    state = config.state
    if state.kind == "redis":
        from gateway.state.principals.redis import RedisPrincipals

        return RedisPrincipals.open(address(state.url, state.url_env), state.prefix, state.cluster)
    return PrincipalFile.open(state.path, make=make)


@contextmanager
def principals_if_any(config: Config) -> Iterator[PrincipalStore | None]:
    """The store, for the block only; None where no gateway has counted any.

    Raises:
        OperatorError: the file is another database, or a later release's.
        StoreError: it can't be read now.
    """
    if config.state.kind == "sqlite" and not (config.state.path / PRINCIPALS.name).is_file():
        yield None
        return
    store = open_principals(config, make=False)
    try:
        yield store
    finally:
        store.close()
