"""From a config and its endpoints to the watcher of queries; none where no endpoint asks for one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing

from detectors.queries.memory import Bounds, QueryMemory
from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.errors import OperatorError
from gateway.state.opening import open_principals
from gateway.state.principals.redis import RedisPrincipals
from gateway.state.store import StoreError
from gateway.tracking.queries.asking import AskingWatcher
from gateway.tracking.queries.secret import agreed, secret
from gateway.tracking.queries.sharing import Sharing
from gateway.tracking.queries.watcher import QueryWatcher

logger = logging.getLogger("watchgate.tracking")


def open_queries(config: Config, endpoints: Mapping[str, Endpoint], workers: int) -> QueryWatcher | None:
    """The watcher; `workers` processes, and with Redis all hosts, tell each other what was asked.

    A Redis server that does not answer stops nothing: it is asked again and again.

    Raises:
        OperatorError: the state folder can't be written, or holds what this release can't use.
    """
    settings = {name: each.config.queries for name, each in endpoints.items() if each.config.queries is not None}
    if not settings:
        return None
    told = _secret(config)
    shares = workers > 1 or config.state.kind == "redis"
    memories = {}
    for name, each in settings.items():
        likeness = endpoints[name].likeness
        assert likeness is not None  # loading refuses a bundle without it
        bounds = Bounds(each.rows, each.everybody, each.hours * 3600.0, each.max_bytes, each.similar)
        memories[name] = QueryMemory(
            likeness,
            told,
            bounds,
            pooled="pooled" in each.signatures,
            hashed="hashes" in each.signatures,
            told=shares,
        )
    versions = {f"{name} {endpoints[name].info.version}": memory for name, memory in memories.items()}
    sharing = Sharing(versions) if shares else None
    return QueryWatcher(memories, settings, lambda: open_principals(config), sharing=sharing)


def open_asking(config: Config, endpoints: Mapping[str, Endpoint]) -> AskingWatcher | None:
    """The watcher of how queries are spread; None where no bundle knows how honest ones are."""
    known = {name: (each.info.version, each.spread) for name, each in endpoints.items() if each.spread is not None}
    return AskingWatcher(known, lambda: open_principals(config)) if known else None


def _secret(config: Config) -> bytes:
    """What signatures of queries are made with: the same on all hosts, where they can be asked."""
    path = config.state.path
    try:
        with closing(open_principals(config)) as store:
            return agreed(path, store) if isinstance(store, RedisPrincipals) else secret(path)
    except StoreError as exc:
        if config.state.kind != "redis":
            raise OperatorError(f"state.path: expected a folder the gateway can write, found: {exc}") from exc
        logger.warning(
            "state.url: %s; this host goes on alone until it answers, and if it never answered before, hosts compare"
            " hashes of queries only after a restart",
            exc,
        )
        return secret(path)
