from __future__ import annotations

import msgspec
import numpy as np
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from gateway.telemetry import names
from gateway.telemetry.describe import describe
from gateway.telemetry.spans import resource, spans_of
from tests.traffic import NOT_SAMPLED, failed, observe, odd, typical, wild

SENDER = resource("test")


def test_a_root_and_a_child_a_stage() -> None:
    record = describe(observe(np.concatenate([typical(1), wild(1), odd(1)]))).record
    root, *stages = spans_of(record, SENDER)
    assert root.name == "watchgate.infer"
    assert [span.name for span in stages] == ["watchgate.stage brightness", "watchgate.stage margin"]
    context = root.get_span_context()
    assert context is not None
    assert f"{context.trace_id:032x}" == record.id
    assert root.parent is None
    assert all(span.parent == context for span in stages)
    assert root.kind is SpanKind.SERVER
    assert (root.start_time, root.end_time) == (record.started_ns, record.ended_ns)
    assert [span.start_time for span in stages] == [stage.started_ns for stage in record.stages]
    contexts = [span.get_span_context() for span in (root, *stages)]
    assert len({c.span_id for c in contexts if c is not None}) == 3
    assert all(c is not None and c.trace_flags.sampled for c in contexts)


def test_attributes_follow_the_conventions() -> None:
    record = describe(observe(wild(1))).record
    root, brightness, _ = spans_of(record, SENDER)
    assert root.attributes is not None
    expected = {
        "openinference.span.kind": "GUARDRAIL",
        "http.request.method": "POST",
        "http.route": "/v2/models/digits/infer",
        "http.response.status_code": 403,
        "client.address": "192.0.2.7",
        "user_agent.original": "tests/1.0",
        "watchgate.endpoint": "digits",
        "watchgate.chain.version": "a" * 64,
        "watchgate.verdict": "reject",
        "watchgate.decided_by": "brightness",
        "watchgate.input.sha256": record.digest,
        "watchgate.row.verdict": ["reject"],
    }
    assert {name: root.attributes.get(name) for name in expected} == expected
    assert brightness.attributes is not None
    assert brightness.attributes[names.STAGE_SCORES] == list(record.stages[0].scores)
    assert brightness.attributes[names.STAGE_DECIDED] is True
    assert brightness.attributes["openinference.span.kind"] == "EVALUATOR"
    assert brightness.attributes[names.STAGE_REJECT_SCORE] == record.stages[0].reject_score


def test_the_models_answers_are_told_before_and_after() -> None:
    record = describe(observe(np.concatenate([odd(1), wild(1)]))).record
    attributes = spans_of(record, SENDER)[0].attributes
    assert attributes is not None
    first = record.row_evidence[0]
    assert first.before is not None
    assert first.after is not None
    assert attributes[names.ROW_PROBABILITY_BEFORE][0] == first.before.probability  # type: ignore[index]
    after = attributes[names.ROW_PROBABILITY_AFTER]
    assert after[0] == first.after.probability  # type: ignore[index]
    assert np.isnan(after[1])  # type: ignore[index, arg-type]
    assert attributes[names.ROW_CLASS_AFTER] == [first.after.label, names.NO_CLASS]


def test_the_callers_trace_is_linked_and_not_obeyed() -> None:
    record = describe(observe(wild(1), traceparent=NOT_SAMPLED)).record
    root = spans_of(record, SENDER)[0]
    (link,) = root.links
    assert f"{link.context.trace_id:032x}" == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert link.context.is_remote
    assert root.parent is None
    assert root.attributes is not None
    assert root.attributes[names.CALLER_TRACE] == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_failed_request_is_an_error_span() -> None:
    (root,) = spans_of(describe(failed()).record, SENDER)
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes is not None
    assert root.attributes["error.type"] == "503"


def test_the_same_record_makes_the_same_spans() -> None:
    record = describe(observe(wild(1))).record
    first, second = spans_of(record, SENDER), spans_of(record, SENDER)
    assert [span.get_span_context() for span in first] == [span.get_span_context() for span in second]


def test_a_principal_that_is_no_address_is_not_called_one() -> None:
    record = msgspec.structs.replace(describe(observe(wild(1))).record, principal="key-7")
    attributes = spans_of(record, SENDER)[0].attributes
    assert attributes is not None
    assert names.CLIENT_ADDRESS not in attributes
    assert attributes[names.PRINCIPAL] == "key-7"


def test_the_path_names_the_model() -> None:
    record = msgspec.structs.replace(describe(observe(wild(1))).record, route="/v2/models/{model}/infer")
    attributes = spans_of(record, SENDER)[0].attributes
    assert attributes is not None
    assert attributes[names.ROUTE] == "/v2/models/{model}/infer"
    assert attributes[names.URL_PATH] == "/v2/models/digits/infer"


def test_who_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SENDER.attributes["service.name"] == "test"
    assert resource("a").attributes["service.instance.id"] == SENDER.attributes["service.instance.id"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
    assert resource(None).attributes["service.name"] == "from-env"


def test_no_attributes_name_is_the_beginning_of_others() -> None:
    """Receivers that nest attributes by the dots in their names would lose one of them."""
    record = describe(observe(np.concatenate([odd(1), wild(1)]), traceparent=NOT_SAMPLED)).record
    for span in spans_of(record, SENDER):
        told = list(span.attributes or {})
        assert len(told) > 8
        assert [(a, b) for a in told for b in told if b.startswith(f"{a}.")] == []
