"""Alarms as OpenTelemetry: a span over the drift so far, and a log event, both over OTLP/HTTP.

The start and the end of one spell are one trace: its id follows from endpoint, bundle, series and beginning.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.util.types import AttributeValue

from gateway.alerts.outbox import Outcome
from gateway.alerts.wording import event, sentence
from gateway.telemetry import names
from gateway.telemetry.spans import scope
from gateway.tracking.drift.report import DriftAlarm

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import LogRecordExporter

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def span_of(alarm: DriftAlarm, sender: Resource) -> ReadableSpan:
    """From the beginning of the drift to the alarm; an end's parent is its start."""
    return ReadableSpan(
        names.DRIFT_SPAN,
        _context(alarm, alarm.started),
        parent=None if alarm.started else _context(alarm, True),
        resource=sender,
        attributes=_attributes(alarm),
        kind=SpanKind.INTERNAL,
        start_time=int(alarm.since_s * 1e9),
        end_time=int(max(alarm.at_s, alarm.since_s) * 1e9),
        instrumentation_scope=scope(),
    )


def send_span(exporter: SpanExporter, sender: Resource) -> Callable[[DriftAlarm], Outcome]:
    """Sends an alarm's span; the exporter itself tries again for some seconds."""

    def send(alarm: DriftAlarm) -> Outcome:
        result = exporter.export([span_of(alarm, sender)])
        return Outcome.SENT if result is SpanExportResult.SUCCESS else Outcome.AGAIN

    return send


def log_exporter_for(otlp: str | None) -> LogRecordExporter | None:
    """The exporter of log events to this base URL; to where `OTEL_EXPORTER_OTLP_*` says if None.

    None where nothing says, where `OTEL_LOGS_EXPORTER` is `none` (for receivers of traces alone), and with a release of
    the SDK whose logs (still in development) are others.
    """
    if os.environ.get("OTEL_LOGS_EXPORTER", "otlp").strip().lower() == "none":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import ReadableLogRecord  # noqa: F401 - older releases have none
    except ImportError:
        return None
    if otlp is not None:
        return OTLPLogExporter(endpoint=f"{otlp.rstrip('/')}/v1/logs")
    told = os.environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return OTLPLogExporter() if told and not off else None


def send_event(exporter: LogRecordExporter, sender: Resource) -> Callable[[DriftAlarm], Outcome]:
    """Sends an alarm's log event, which names its span."""
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExportResult

    def send(alarm: DriftAlarm) -> Outcome:
        record = LogRecord(
            timestamp=int(alarm.at_s * 1e9),
            observed_timestamp=int(alarm.at_s * 1e9),
            context=set_span_in_context(NonRecordingSpan(_context(alarm, alarm.started))),
            severity_number=SeverityNumber.WARN if alarm.started else SeverityNumber.INFO,
            severity_text="WARN" if alarm.started else "INFO",
            body=sentence(alarm),
            attributes=_attributes(alarm),
            event_name=f"watchgate.{event(alarm)}",
        )
        result = exporter.export([ReadableLogRecord(record, sender, scope())])
        return Outcome.SENT if result is LogRecordExportResult.SUCCESS else Outcome.AGAIN

    return send


def _attributes(alarm: DriftAlarm) -> dict[str, AttributeValue]:
    return {
        names.ENDPOINT: alarm.endpoint,
        names.CHAIN_VERSION: alarm.bundle,
        names.DRIFT_STATE: "started" if alarm.started else "ended",
        names.DRIFT_SERIES: alarm.series,
        names.DRIFT_KIND: alarm.kind,
        names.DRIFT_STATISTIC: alarm.statistic,
        names.DRIFT_THRESHOLD: alarm.threshold,
        names.DRIFT_PSI: alarm.psi,
        names.DRIFT_ROWS: alarm.rows,
    }


def _context(alarm: DriftAlarm, started: bool) -> SpanContext:
    spell = f"{alarm.endpoint}\0{alarm.bundle}\0{alarm.series}\0{alarm.since_s}"
    trace = hashlib.blake2b(spell.encode(), digest_size=16).digest()
    span = hashlib.blake2b(f"{spell}\0{started}".encode(), digest_size=8).digest()
    number = int.from_bytes
    return SpanContext(number(trace, "big") or 1, number(span, "big") or 1, is_remote=False, trace_flags=_SAMPLED)
