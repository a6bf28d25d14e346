"""Two workers push their numbers to one receiver: added up they are what was asked, and what /metrics shows."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from tests.command import ENVIRONMENT, serving
from tests.e2e.test_traces import honest_rows, project
from tests.otlp import Receiver, attributes
from tests.ports import free_port
from tests.wired import tensor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
INFER = "/v2/models/digits/infer"


def total(receiver: Receiver, name: str, **labels: str) -> float:
    """The sum over all senders."""
    points = [point for sent in receiver.metrics.values() if name in sent for point in data(sent[name])]
    return sum(
        point.as_double or point.as_int
        for point in points
        if labels.items() <= {key: str(value) for key, value in attributes(point.attributes).items()}.items()
    )


def data(metric: Metric) -> list[NumberDataPoint]:
    return list(metric.sum.data_points or metric.gauge.data_points)


def test_nothing_is_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "OTEL_METRIC_EXPORT_INTERVAL", "300")
    with Receiver() as receiver:
        project(tmp_path, otlp=receiver.url, otlp_metrics=True)
        x = honest_rows(tmp_path)
        port = free_port()
        with serving(tmp_path, port, workers=2):
            asked = 0
            deadline = time.monotonic() + 90
            while asked < 60 or total(receiver, "watchgate_workers") < 2:
                assert time.monotonic() < deadline
                row = x[asked % len(x)][None] + np.float32(2.0 * (asked % 10 == 0))
                body = {"inputs": [tensor(row.tolist(), row.shape)]}
                httpx.post(f"http://127.0.0.1:{port}{INFER}", json=body, timeout=20)  # a connection of its own
                asked += 1
            while shown(port) < asked:  # the other worker writes its numbers once a second
                assert time.monotonic() < deadline
                time.sleep(0.2)
    assert len(receiver.metrics) == 2
    assert total(receiver, "watchgate_rows") == asked
    assert total(receiver, "watchgate_rows", action="reject") == -(-asked // 10)
    assert total(receiver, "watchgate_export_metrics_failures") == 0
    assert {sender["service.name"] for sender in receiver.resources} == {"watchgate"}
    spans_from = {sender["service.instance.id"] for sender in receiver.resources}
    assert spans_from == set(receiver.metrics)  # spans and metrics of a worker say the same


def shown(port: int) -> float:
    page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    return sum(map(float, re.findall(r"^watchgate_rows_total\S* (\S+)$", page, re.MULTILINE)))
