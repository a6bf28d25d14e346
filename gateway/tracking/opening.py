"""From a config and its endpoints to a tracker; none where no endpoint asks for one."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from gateway.alerts.announcing import open_alerts
from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.errors import OperatorError
from gateway.state.opening import open_shared
from gateway.state.store import StoreError
from gateway.state.traffic import TrafficFile
from gateway.tracking.drift.evaluator import DriftEvaluator
from gateway.tracking.drift.flusher import DriftFlusher
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.standings import DriftStandings
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.drift.watcher import DriftWatcher
from gateway.tracking.exchange import Exchange
from gateway.tracking.feedback.opening import feeding, open_feedback
from gateway.tracking.foreign.opening import open_foreign
from gateway.tracking.partner import Partner
from gateway.tracking.queries.opening import open_asking, open_queries
from gateway.tracking.storeclock import StoreClock
from gateway.tracking.tracker import Tracker
from gateway.tracking.traffic import TrafficWatcher
from gateway.tracking.watcher import Watcher

_log = logging.getLogger("watchgate")


def open_tracker(config: Config, endpoints: Mapping[str, Endpoint], workers: int = 1) -> Tracker | None:
    """The tracker this config asks for, not started. Stores are opened once, so that mistakes show before serving.

    `workers` processes, and with Redis all hosts, tell each other what was asked.

    Raises:
        OperatorError: the state folder can't be written, or holds what this release can't use.
    """
    queries = open_queries(config, endpoints, workers)
    drift = tuple(watched for each in endpoints.values() if (watched := _watched(each)) is not None)
    clock, announcer, standings = StoreClock(), None, DriftStandings(drift)
    foreign = open_foreign(endpoints, clock)
    asking = open_asking(config, endpoints)
    measuring = [] if asking is None else [asking]
    watchers: list[Watcher] = [*([] if queries is None else [queries]), *measuring, *foreign]
    partners: list[Partner] = [*measuring, *foreign]
    capture = config.state.capture
    if capture.traffic_rows:
        rows, keep_s = capture.traffic_rows, capture.max_age_days * 86_400.0
        path, share = config.state.path, capture.principal_share
        watchers.append(TrafficWatcher(list(endpoints), rows, share, keep_s, lambda: TrafficFile.open(path)))
    if drift or feeding(endpoints):
        announcer = open_alerts(config)
    if drift:
        pending = PendingSums()
        watchers.append(DriftWatcher(drift, pending, clock))
        partners += [DriftFlusher(drift, pending, clock), DriftEvaluator(drift, clock, announcer), standings]
    feedback, desk = open_feedback(config, endpoints, clock, announcer), None
    if feedback is not None:
        log, desk, others = feedback
        watchers.append(log)
        partners += others
    if not watchers:
        return None
    marks, exchange = None if queries is None else queries.marks, None
    if partners:
        _try_shared(config)
        exchange = Exchange(partners, lambda: open_shared(config), clock)
    return Tracker(watchers, marks, exchange, announcer, standings, desk)


def _try_shared(config: Config) -> None:
    try:
        open_shared(config).close()
    except StoreError as exc:
        if config.state.kind == "sqlite":
            raise OperatorError(f"state.path: expected a folder the gateway can write, found: {exc}") from exc
        _log.warning("the store that replicas share is out of reach, what it is to be told waits: %s", exc)


def _watched(endpoint: Endpoint) -> Watched | None:
    asked, monitor = endpoint.config.drift, endpoint.monitor
    if asked is None or monitor is None:
        return None
    spec = endpoint.chain.backend.spec
    return Watched(endpoint.name, endpoint.info.version, monitor, spec, asked.every, asked.rows_per_second)
