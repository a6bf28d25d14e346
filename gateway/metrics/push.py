"""Sends one worker's numbers to an OTLP receiver now and then, on a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.resources import Resource

from gateway.metrics.meter import Numbers
from gateway.metrics.otlp import data_of

INTERVAL_VARIABLE = "OTEL_METRIC_EXPORT_INTERVAL"  # milliseconds
_EVERY_S = 60.0


class Push:
    """Between `start` and `close`. `numbers` are asked for on the thread: they must not change while it reads them."""

    def __init__(self, exporter: MetricExporter, sender: Resource, numbers: Callable[[], Numbers]) -> None:
        self.failures = 0
        self._exporter = exporter
        self._sender = sender
        self._numbers = numbers
        self._every_s = interval_s(os.environ)
        self._start_ns = time.time_ns()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to send."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchgate-metrics", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Sends the last numbers, for at most `timeout_s`."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        self._exporter.shutdown()  # whoever still waits between two attempts gives up

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._send()
        self._send()

    def _send(self) -> None:
        try:
            data = data_of(self._numbers(), self._sender, self._start_ns, time.time_ns())
            sent = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception:  # counted: telemetry never stops anything
            sent = False
        self.failures += not sent


def interval_s(environment: Mapping[str, str]) -> float:
    """Seconds between two sendings: OpenTelemetry's own variable, a minute where it is no positive number."""
    try:
        told = float(environment.get(INTERVAL_VARIABLE, "")) / 1e3
    except ValueError:
        return _EVERY_S
    return told if 0.0 < told < float("inf") else _EVERY_S
