"""A worker's numbers in OTLP's data model, and when they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from gateway.metrics.meter import Meter, Numbers, key
from gateway.metrics.opening import open_push
from gateway.metrics.otlp import data_of, exporter_for
from gateway.metrics.push import Push, interval_s
from gateway.telemetry.config import TelemetryConfig
from gateway.telemetry.spans import resource
from tests.otlp import Receiver, attributes
from tests.unit.gateway.metrics.test_meter import full_meter
from tests.waiting import until

BUDGET = key("watchgate_budget_ratio", {"endpoint": "m", "action": "flag"})


@pytest.fixture(autouse=True)
def _no_otel_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def pushed(receiver: Receiver, numbers: Numbers) -> dict[str, Metric]:
    push = open_push(TelemetryConfig(otlp=receiver.url, otlp_metrics=True), lambda: numbers)
    assert push is not None
    push.start()
    push.close(20.0)
    assert push.failures == 0
    [sent] = receiver.metrics.values()
    return sent


def points(metric: Metric) -> dict[tuple[object, ...], Any]:
    """A metric's points by the values of their labels."""
    kind = metric.WhichOneof("data")
    assert kind is not None
    return {tuple(attributes(p.attributes).values()): p for p in getattr(metric, kind).data_points}


def test_what_is_sent_is_what_the_page_shows() -> None:
    with Receiver() as receiver:
        sent = pushed(receiver, {**full_meter().numbers(), BUDGET: 0.05, ("watchgate_unlisted", ()): 1.0})
    assert receiver.paths == ["/v1/metrics"]
    rows = sent["watchgate_rows"]
    assert rows.sum.is_monotonic
    assert rows.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert {labels: point.as_double or point.as_int for labels, point in points(rows).items()} == {
        ("allow", "m"): 2,
        ("flag", "m"): 1,
        ("reject", "m"): 2,
    }
    assert points(sent["watchgate_budget_ratio"])["flag", "m"].as_double == 0.05
    assert sent["watchgate_budget_ratio"].WhichOneof("data") == "gauge"
    assert (sent["watchgate_request_seconds"].unit, sent["watchgate_budget_ratio"].unit) == ("s", "1")
    assert "watchgate_unlisted" not in sent


def test_histograms_keep_their_buckets() -> None:
    meter = Meter("m")
    for seconds in (0.0005, 0.0015, 0.0018, 20.0):
        meter.answered(200, seconds)
    with Receiver() as receiver:
        [point] = points(pushed(receiver, meter.numbers())["watchgate_request_seconds"]).values()
    assert list(point.explicit_bounds)[:3] == [0.0005, 0.001, 0.002]
    assert list(point.bucket_counts) == [1, 0, 2, *[0] * 11, 1]
    assert (point.count, point.sum) == (4, pytest.approx(20.0038))
    assert not point.HasField("min")
    assert not point.HasField("max")


def test_a_summary_is_a_histogram_of_one_bucket() -> None:
    with Receiver() as receiver:
        [point] = points(pushed(receiver, full_meter().numbers())["watchgate_stage_seconds"]).values()
    assert (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds)) == (1, 0.001, [1], [])


def test_who_sends_metrics_is_who_sends_spans() -> None:
    with Receiver() as receiver:
        pushed(receiver, full_meter().numbers())
    [sender] = receiver.resources
    assert sender == dict(resource("watchgate").attributes)
    assert sender["service.name"] == "watchgate"


def test_nobody_is_asked_who_did_not_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_push(TelemetryConfig(otlp="http://127.0.0.1:9"), dict) is None
    assert open_push(TelemetryConfig(otlp_metrics=True), dict) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert open_push(TelemetryConfig(otlp_metrics=True), dict) is not None
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    assert open_push(TelemetryConfig(otlp_metrics=True), dict) is None


def test_a_receiver_that_refuses_costs_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    with Receiver(404, 404) as receiver:
        exporter = exporter_for(receiver.url)
        assert exporter is not None
        push = Push(exporter, resource(None), lambda: {BUDGET: 1.0})
        push.start()
        until(lambda: bool(receiver.metrics))
        push.close(20.0)
    assert push.failures == 2


def test_numbers_that_cannot_be_sent_end_nothing() -> None:
    with Receiver() as receiver:
        exporter = exporter_for(receiver.url)
        assert exporter is not None
        push = Push(exporter, resource(None), lambda: {("watchgate_request_seconds_bucket", (("le", "x"),)): 1.0})
        push.start()
        push.close(20.0)
    assert (push.failures, receiver.paths) == (1, [])


@pytest.mark.parametrize(("told", "seconds"), [("500", 0.5), ("", 60.0), ("soon", 60.0), ("-1", 60.0), ("inf", 60.0)])
def test_the_standard_interval_is_kept(told: str, seconds: float) -> None:
    assert interval_s({"OTEL_METRIC_EXPORT_INTERVAL": told}) == seconds


def test_a_point_says_since_when_it_counts() -> None:
    data = data_of({key("watchgate_queued_rows", {"endpoint": "m"}): 3}, resource(None), 5, 9)
    [point] = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano, dict(point.attributes or {})) == (5, 9, {"endpoint": "m"})
