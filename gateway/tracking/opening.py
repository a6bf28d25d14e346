"""From a config and its endpoints to a tracker; none where no endpoint asks for one."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.tracking.remembering import open_queries
from gateway.tracking.tracker import Tracker


def open_tracker(config: Config, endpoints: Mapping[str, Endpoint], workers: int = 1) -> Tracker | None:
    """The tracker this config asks for, not started. Stores are opened once, so that mistakes show before serving.

    `workers` processes, and with Redis all hosts, tell each other what was asked.

    Raises:
        OperatorError: the state folder can't be written, or holds what this release can't use.
    """
    queries = open_queries(config, endpoints, workers)
    if queries is None:
        return None
    return Tracker([queries], queries.marks)
