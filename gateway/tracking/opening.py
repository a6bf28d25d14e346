"""From a config and its endpoints to a tracker; none where no endpoint asks for one."""

from __future__ import annotations

from collections.abc import Mapping

from detectors.queries.memory import Bounds, QueryMemory
from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.errors import OperatorError
from gateway.state.principals import PrincipalStore
from gateway.state.store import StoreError
from gateway.tracking.queries import QueryWatcher
from gateway.tracking.secret import secret
from gateway.tracking.sharing import Sharing
from gateway.tracking.tracker import Tracker


def open_tracker(config: Config, endpoints: Mapping[str, Endpoint], workers: int = 1) -> Tracker | None:
    """The tracker this config asks for, not started. Stores are opened once, so that mistakes show before serving.

    `workers` processes tell each other what was asked.

    Raises:
        OperatorError: the state folder can't be written, or holds what this release can't use.
    """
    queries = _queries(config, endpoints, workers)
    if queries is None:
        return None
    return Tracker([queries], queries.marks)


def _queries(config: Config, endpoints: Mapping[str, Endpoint], workers: int) -> QueryWatcher | None:
    settings = {name: each.config.queries for name, each in endpoints.items() if each.config.queries is not None}
    if not settings:
        return None
    path = config.state.path
    try:
        PrincipalStore.open(path).close()
    except StoreError as exc:
        raise OperatorError(f"state.path: expected a folder the gateway can write, found: {exc}") from exc
    told = secret(path)
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
            told=workers > 1,
        )
    versions = {f"{name} {endpoints[name].info.version}": memory for name, memory in memories.items()}
    sharing = Sharing(versions) if workers > 1 else None
    return QueryWatcher(memories, settings, lambda: PrincipalStore.open(path), sharing=sharing)
