"""An OTLP/HTTP receiver: reads the protocol's own protobuf messages off a real socket."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.posted import Answer, Post, PostServer

PROTOBUF = {"content-type": "application/x-protobuf"}  # no bytes are an answer that says nothing, so all is well


class Receiver(PostServer):
    """Keeps the spans, log records and metrics it was sent; of metrics every sender's latest, by its instance id.

    `statuses` are answered first, one a request, before it begins to accept.
    """

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.spans: list[Span] = []
        self.logs: list[LogRecord] = []
        self.metrics: dict[str, dict[str, Metric]] = {}
        self.resources: list[dict[str, object]] = []
        self.paths: list[str] = []
        self.statuses = list(statuses)

    def take(self, post: Post) -> Answer:
        self.paths.append(post.path)
        if self.statuses:
            return Answer(self.statuses.pop(0), PROTOBUF)
        body = gzip.decompress(post.body) if post.headers.get("content-encoding") == "gzip" else post.body
        if post.path.endswith("/v1/logs"):
            self._take_logs(body)
        elif post.path.endswith("/v1/metrics"):
            self._take_metrics(body)
        else:
            self._take_spans(body)
        return Answer(200, PROTOBUF)

    def _take_logs(self, body: bytes) -> None:
        for each in ExportLogsServiceRequest.FromString(body).resource_logs:
            for part in each.scope_logs:
                self.logs.extend(part.log_records)

    def _take_spans(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans.extend(scope.spans)

    def _take_metrics(self, body: bytes) -> None:
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            facts = attributes(group.resource.attributes)
            self.resources.append(facts)
            found = {metric.name: metric for scope in group.scope_metrics for metric in scope.metrics}
            self.metrics[str(facts["service.instance.id"])] = found

    def traces(self) -> dict[str, list[Span]]:
        """Spans by trace id."""
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            found.setdefault(span.trace_id.hex(), []).append(span)
        return found


def attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes as Python values."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
