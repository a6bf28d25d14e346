"""A record, made into OpenTelemetry spans: a root and one child a stage, with the times they really had.

The trace id is the request's server-made id. The caller's trace is linked; its sampling flag has no effect.
Span ids follow from the request id, so a batch that is sent twice arrives as the same spans.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from gateway.state.record import Answer, Number, Record, RowEvidence, StageEvidence
from gateway.telemetry import names

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NAN = float("nan")


def resource(service_name: str | None) -> Resource:
    """Who sends: name (None leaves it to `OTEL_SERVICE_NAME`), version, and one id a process."""
    facts: dict[str, str | int] = {
        names.SERVICE_VERSION: _version(),
        names.SERVICE_INSTANCE: _instance(os.getpid()),
        names.PROCESS_ID: os.getpid(),
    }
    if service_name is not None:
        facts[names.SERVICE_NAME] = service_name
    return Resource.create({**facts})


@cache
def _instance(pid: int) -> str:
    """The same for all that a process sends; another in its children."""
    return str(uuid.uuid4())


def scope() -> InstrumentationScope:
    """What makes all our spans and events."""
    return InstrumentationScope(names.SCOPE, _version())


def spans_of(record: Record, sender: Resource) -> list[ReadableSpan]:
    """Root first, then the stages in order."""
    trace_id = _trace_id(record.id)
    maker = scope()
    root_context = _context(trace_id, record.id, 0)
    root = ReadableSpan(
        names.ROOT_SPAN,
        root_context,
        resource=sender,
        attributes=_present(_root_attributes(record)),
        links=_links(record),
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR, record.error) if record.status >= 500 else Status(StatusCode.UNSET),
        start_time=record.started_ns,
        end_time=record.ended_ns,
        instrumentation_scope=maker,
    )
    deciders = {row.stage for row in record.row_evidence}
    children = [
        ReadableSpan(
            f"{names.STAGE_SPAN} {stage.name}",
            _context(trace_id, record.id, number),
            parent=root_context,
            resource=sender,
            attributes=_present(_stage_attributes(stage, record, decided=stage.name in deciders)),
            status=Status(StatusCode.ERROR, stage.error) if stage.error else Status(StatusCode.UNSET),
            start_time=stage.started_ns,
            end_time=stage.ended_ns,
            instrumentation_scope=maker,
        )
        for number, stage in enumerate(record.stages, start=1)
    ]
    return [root, *children]


def _root_attributes(record: Record) -> Mapping[str, AttributeValue | None]:
    return {
        names.SPAN_KIND: names.GUARD_KIND,
        names.METHOD: "POST",
        names.ROUTE: record.route,
        names.URL_PATH: record.route.replace("{model}", record.endpoint),
        names.URL_SCHEME: "http",
        names.STATUS: record.status,
        names.CLIENT_ADDRESS: record.principal if _is_address(record.principal) else None,
        names.USER_AGENT: record.user_agent,
        names.BODY_BYTES: record.body_bytes if record.body_bytes >= 0 else None,
        names.ERROR_TYPE: str(record.status) if record.status >= 500 else None,
        names.ENDPOINT: record.endpoint,
        names.CHAIN_VERSION: record.version,
        names.MODE: record.mode,
        names.VERDICT: record.verdict,
        names.ENFORCED: record.enforced,
        names.DECIDED_BY: record.stage,
        names.PRINCIPAL: record.principal,
        names.REQUEST_ID: record.request_id,
        names.CALLER_TRACE: record.caller_trace_id,
        names.INPUT_DIGEST: record.digest,
        names.ROWS: record.rows,
        names.ROWS_FLAGGED: record.flagged,
        names.ROWS_REJECTED: record.rejected,
        names.ROWS_RUN: record.rows_run,
        names.FLAG_CUT: record.flag_cut,
        names.REJECT_CUT: record.reject_cut,
        names.ERROR: record.error,
        **_row_attributes(record.row_evidence),
    }


def _row_attributes(rows: Sequence[RowEvidence]) -> Mapping[str, AttributeValue | None]:
    if not rows:
        return {}
    before, after = [row.before for row in rows], [row.after for row in rows]
    return {
        names.ROW_INDEX: [row.row for row in rows],
        names.ROW_VERDICT: [row.verdict for row in rows],
        names.ROW_ACTION: [row.action for row in rows],
        names.ROW_STATISTIC: _floats([row.statistic for row in rows]),
        names.ROW_P_VALUE: _floats([row.p_value for row in rows]),
        names.ROW_STAGE: [row.stage or "" for row in rows],
        names.ROW_EXPLANATION: _texts([row.explanation for row in rows]),
        names.ROW_CLASS_BEFORE: _classes(before),
        names.ROW_PROBABILITY_BEFORE: _probabilities(before),
        names.ROW_CLASS_AFTER: _classes(after),
        names.ROW_PROBABILITY_AFTER: _probabilities(after),
    }


def _stage_attributes(stage: StageEvidence, record: Record, *, decided: bool) -> Mapping[str, AttributeValue | None]:
    return {
        names.SPAN_KIND: names.STAGE_KIND,
        names.STAGE_NAME: stage.name,
        names.ENDPOINT: record.endpoint,
        names.ROW_INDEX: [row.row for row in record.row_evidence],
        names.STAGE_SCORES: _floats(stage.scores),
        names.STAGE_P_VALUES: _floats(stage.p_values),
        names.STAGE_FLAG_SCORE: stage.flag_score,
        names.STAGE_REJECT_SCORE: stage.reject_score,
        names.STAGE_SHADOW: stage.shadow,
        names.STAGE_CONDITIONAL: stage.conditional,
        names.STAGE_DECIDED: decided,
        names.STAGE_TIME_MS: stage.took_ms,
        names.STAGE_ERROR: stage.error,
    }


def _links(record: Record) -> tuple[Link, ...]:
    if record.caller_trace_id is None or record.caller_span_id is None:
        return ()
    caller = SpanContext(int(record.caller_trace_id, 16), int(record.caller_span_id, 16), is_remote=True)
    return (Link(caller),)


def _context(trace_id: int, request_id: str, number: int) -> SpanContext:
    digest = hashlib.blake2b(f"{request_id}/{number}".encode(), digest_size=8).digest()
    return SpanContext(trace_id, int.from_bytes(digest, "big") or 1, is_remote=False, trace_flags=_SAMPLED)


def _trace_id(request_id: str) -> int:
    return int(request_id, 16) if len(request_id) == 32 else uuid.uuid5(uuid.NAMESPACE_OID, request_id).int


def _is_address(principal: str) -> bool:
    try:
        ipaddress.ip_address(principal)
    except ValueError:
        return False
    return True


def _present(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}


def _floats(values: Sequence[Number]) -> list[float]:
    return [_NAN if value is None else value for value in values]


def _texts(values: Sequence[str | None]) -> list[str] | None:
    return [value or "" for value in values] if any(values) else None


def _classes(answers: Sequence[Answer | None]) -> list[int] | None:
    if not any(answer is not None and answer.label is not None for answer in answers):
        return None
    return [names.NO_CLASS if answer is None or answer.label is None else answer.label for answer in answers]


def _probabilities(answers: Sequence[Answer | None]) -> list[float] | None:
    if not any(answer is not None and answer.probability is not None for answer in answers):
        return None
    return _floats([None if answer is None else answer.probability for answer in answers])


def _version() -> str:
    try:
        return metadata.version("watchgate")
    except metadata.PackageNotFoundError:
        return "unknown"
