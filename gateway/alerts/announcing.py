"""Tells of alarms wherever the config says; never waits for anybody."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.alerts.otel import log_exporter_for, send_event, send_span
from gateway.alerts.outbox import Outbox
from gateway.alerts.webhook import Webhook
from gateway.alerts.wording import sentence
from gateway.telemetry.export import exporter_for
from gateway.telemetry.spans import resource
from gateway.tracking.drift.report import DriftAlarm

if TYPE_CHECKING:
    from gateway.config import Config

_log = logging.getLogger("watchgate.drift")
_SPANS_GIVE_UP_S = 60.0  # the alarm is in the store
_EVENTS_GIVE_UP_S = 10.0  # receivers of spans often take no logs


class Alerts:
    """A log line here, and each outbox. `after` runs when all is sent or given up."""

    def __init__(self, outboxes: Sequence[Outbox[DriftAlarm]] = (), after: Sequence[Callable[[], object]] = ()) -> None:
        self._outboxes = tuple(outboxes)
        self._after = tuple(after)

    def announce(self, alarm: DriftAlarm) -> None:
        """Tells of one alarm that began or ended."""
        _log.log(logging.WARNING if alarm.started else logging.INFO, "%s", sentence(alarm))
        for outbox in self._outboxes:
            outbox.add(alarm)

    def stats(self) -> dict[str, int]:
        """Messages sent and lost, and attempts that failed, since the start, of all receivers together."""
        total: Counter[str] = Counter()
        for outbox in self._outboxes:
            total.update(outbox.counts)
        return {what: total[what] for what in ("sent", "failures", "lost")}

    def close(self, timeout_s: float = 5.0) -> None:
        """Tries once more what waits, for at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        for outbox in self._outboxes:
            outbox.close(max(0.0, deadline - time.monotonic()))
        for end in self._after:
            end()


def open_alerts(config: Config) -> Alerts:
    """The announcer this config asks for.

    Raises:
        OperatorError: a webhook's secret is not in its place, or too short.
    """
    named = "service_name" in config.telemetry.model_fields_set or "OTEL_SERVICE_NAME" not in os.environ
    sender = resource(config.telemetry.service_name if named else None)
    outboxes, after = [], []
    for webhook in config.alerts.webhooks:
        hook = Webhook(webhook.url, webhook.secret())
        outboxes.append(Outbox(webhook.host, hook.send, give_up_s=60.0 * config.alerts.give_up_minutes))
    spans = exporter_for(config.telemetry.otlp)
    if spans is not None:
        outboxes.append(Outbox("otlp-traces", send_span(spans, sender), give_up_s=_SPANS_GIVE_UP_S))
        after.append(spans.shutdown)
    events = log_exporter_for(config.telemetry.otlp)
    if events is not None:
        outboxes.append(Outbox("otlp-logs", send_event(events, sender), give_up_s=_EVENTS_GIVE_UP_S))
        after.append(events.shutdown)
    return Alerts(outboxes, after)
