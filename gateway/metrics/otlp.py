"""The same numbers as OpenTelemetry metrics: what a page holds of one worker, in the data model of OTLP."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import pairwise

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from gateway.metrics.families import Family, family_of
from gateway.metrics.meter import Numbers
from gateway.telemetry.spans import scope

Labels = tuple[tuple[str, str], ...]
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_UNITS = {"seconds": "s", "seconds since 1970": "s", "share": "1"}  # of the others no receiver knows what to make


def exporter_for(otlp: str | None) -> MetricExporter | None:
    """The exporter to this base URL; to where `OTEL_EXPORTER_OTLP_*` says if None; None if nothing says."""
    if otlp is not None:
        return OTLPMetricExporter(endpoint=f"{otlp.rstrip('/')}/v1/metrics")
    told = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    off = off or os.environ.get("OTEL_METRICS_EXPORTER", "otlp").strip().lower() == "none"
    return OTLPMetricExporter() if told and not off else None


def data_of(numbers: Numbers, sender: Resource, start_ns: int, now_ns: int) -> MetricsData:
    """One worker's numbers, counted since `start_ns`.

    Counters are monotonic cumulative sums without `_total`, summaries histograms of a single bucket.
    """
    parts: dict[str, dict[str, dict[Labels, float]]] = {}
    for (name, labels), value in numbers.items():
        family = family_of(name)
        if family is not None:
            parts.setdefault(family.name, {}).setdefault(name.removeprefix(family.name), {})[labels] = value
    times = (start_ns, now_ns)
    metrics = [_metric(family, parts[name], times) for name in parts if (family := family_of(name)) is not None]
    made = ScopeMetrics(scope(), metrics, "")
    return MetricsData([ResourceMetrics(sender, [made], "")])


def _metric(family: Family, parts: Mapping[str, Mapping[Labels, float]], times: tuple[int, int]) -> Metric:
    data: Sum | Gauge | Histogram
    if family.kind == "counter":
        data = Sum(_points(parts[""], times), _CUMULATIVE, is_monotonic=True)
    elif family.kind == "gauge":
        data = Gauge(_points(parts[""], times))
    else:
        data = Histogram([_histogram(labels, parts, times) for labels in parts["_count"]], _CUMULATIVE)
    return Metric(family.base, family.text, _UNITS.get(family.unit, ""), data)


def _points(values: Mapping[Labels, float], times: tuple[int, int]) -> list[NumberDataPoint]:
    return [NumberDataPoint(dict(labels), *times, value) for labels, value in values.items()]


def _histogram(
    labels: Labels, parts: Mapping[str, Mapping[Labels, float]], times: tuple[int, int]
) -> HistogramDataPoint:
    own = dict(labels)
    count = int(parts["_count"][labels])
    ends, below = _buckets(own, parts.get("_bucket", {}).items(), count)
    inside = [int(end - start) for start, end in pairwise([0.0, *below])]
    # Which value was the smallest or the largest is not counted; OTLP leaves both out then.
    return HistogramDataPoint(
        own,
        *times,
        count,
        parts["_sum"][labels],
        inside,
        ends,
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _buckets(
    own: Mapping[str, str], buckets: Iterable[tuple[Labels, float]], count: int
) -> tuple[list[float], list[float]]:
    """Upper ends, without infinity, and how many values are at most as large, the last being all."""
    found = []
    for labels, below in buckets:
        told = dict(labels)
        end = float(told.pop("le"))
        if told == own and end != float("inf"):
            found.append((end, below))
    found.sort()
    return [end for end, _ in found], [*(below for _, below in found), count]
