"""From a config to whoever takes true labels; nobody where no endpoint asks for them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config import Config
from gateway.endpoint import Endpoint
from gateway.state.opening import open_shared
from gateway.tracking.announcing import Announcer
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.feedback.accuracy import AccuracyTeller, LabelEvaluator, LabelFlusher, Labelled, LabelledRows
from gateway.tracking.feedback.answers import AnswerLog
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.tracking.feedback.labels import POINT_S, FeedbackDesk
from gateway.tracking.partner import Partner
from gateway.tracking.storeclock import StoreClock


def feeding(endpoints: Mapping[str, Endpoint]) -> dict[str, tuple[Endpoint, FeedbackConfig]]:
    """The endpoints that take labels."""
    return {name: (each, each.config.feedback) for name, each in endpoints.items() if each.config.feedback is not None}


def open_feedback(
    config: Config, endpoints: Mapping[str, Endpoint], clock: StoreClock, announcer: Announcer | None
) -> tuple[AnswerLog, FeedbackDesk, list[Partner]] | None:
    """The watcher that logs answers, the desk that takes labels, and the partners of both; None without `feedback`."""
    taking = feeding(endpoints)
    if not taking:
        return None
    labelled = {name: _labelled(each, asked) for name, (each, asked) in taking.items()}
    watched = [each.watched for each in labelled.values() if each.watched is not None]
    pending = PendingSums()
    log = AnswerLog({name: (each.info.version, asked) for name, (each, asked) in taking.items()})
    desk = FeedbackDesk(labelled, pending, lambda: open_shared(config))
    partners: list[Partner] = [log, LabelFlusher(watched, pending, clock), AccuracyTeller(list(labelled.values()))]
    if watched:
        partners.insert(2, LabelEvaluator(watched, clock, announcer))
    return log, desk, partners


def _labelled(endpoint: Endpoint, asked: FeedbackConfig) -> Labelled:
    name, version = endpoint.name, endpoint.info.version
    monitor, watched = endpoint.errors, None
    if monitor is not None:
        spec = endpoint.chain.backend.spec
        watched = LabelledRows(name, version, monitor, spec, asked.every, float("inf"))
    return Labelled(name, version, watched, POINT_S)
