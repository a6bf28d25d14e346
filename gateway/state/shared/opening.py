"""From a config to the store that its replicas share."""

from __future__ import annotations

from gateway.config import Config
from gateway.state.address import address
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore


def open_shared(config: Config, *, make: bool = True) -> SharedStore:
    """The store, for the thread that asks. A Redis server is first spoken to when something is asked of the store.

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
