"""An alarm in words, and as the JSON document that webhooks carry."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Any

import msgspec

from gateway.tracking.drift.report import DriftAlarm, alarm_name


def sentence(alarm: DriftAlarm) -> str:
    """For people: what moved, by how much, since when."""
    since = moment(alarm.since_s)
    if not alarm.started:
        return f"endpoint {alarm.endpoint}: drift of {alarm.series} has ended; it began {since}"
    how = f"{alarm.kind} {alarm.statistic:.3g}, threshold {alarm.threshold:.3g}, psi {alarm.psi:.2g}"
    return f"endpoint {alarm.endpoint}: {alarm.series} drifts since {since} ({how}, {alarm.rows} rows)"


def event(alarm: DriftAlarm) -> str:
    """The kind of event: `drift.started` or `drift.ended`."""
    return "drift.started" if alarm.started else "drift.ended"


def body(alarm: DriftAlarm) -> bytes:
    """JSON: `type`, `timestamp`, `text`, and the alarm as `data`."""
    facts: dict[str, Any] = msgspec.to_builtins(alarm)
    facts["at"], facts["since"] = moment(facts.pop("at_s")), moment(facts.pop("since_s"))
    document = {"type": event(alarm), "timestamp": facts["at"], "text": sentence(alarm), "data": facts}
    return msgspec.json.encode(document)


def message_id(alarm: DriftAlarm) -> str:
    """The same for the same alarm, whoever sends it and however often."""
    return f"msg_{hashlib.sha256(alarm_name(alarm).encode()).hexdigest()[:32]}"


def moment(seconds: float) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
