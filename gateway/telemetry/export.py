"""Records to an OTLP/HTTP receiver, on a thread of its own: a receiver that hangs delays nothing else."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.state.record import Record
from gateway.telemetry.lane import Bounds, Lane, Place
from gateway.telemetry.spans import resource, spans_of

_EVERY_S = 0.5
_CHUNK = 32  # requests a batch: a few hundred spans
_RETRY_S = (1.0, 30.0)
_ATTEMPTS = 8  # for one batch, each with the exporter's own retries inside; then it is given up
_WAITING = Bounds(items=4096, rows=2**18, nbytes=1)


def exporter_for(otlp: str | None) -> SpanExporter | None:
    """The exporter to this base URL; to where `OTEL_EXPORTER_OTLP_*` says if None; None if nothing says."""
    if otlp is not None:
        return OTLPSpanExporter(endpoint=f"{otlp.rstrip('/')}/v1/traces")
    told = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    off = off or os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none"
    return OTLPSpanExporter() if told and not off else None


class Export(threading.Thread):
    """Sends what `add` was given, in batches.

    `counts`: `exported` (requests), `export_failures` (batches refused), `export_lost` (requests).
    """

    def __init__(self, exporter: SpanExporter, service_name: str | None) -> None:
        super().__init__(name="watchgate-export", daemon=True)
        self.counts: Counter[str] = Counter()
        self._exporter = exporter
        self._resource = resource(service_name)
        self._waiting: Lane[Record] = Lane(_WAITING, lambda record: record)
        self._batch: list[Record] = []
        self._attempts = 0
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._deadline = float("inf")

    def add(self, record: Record) -> None:
        """Takes a record without blocking; counts it as lost where too many wait."""
        if self._waiting.put(record, record.principal, record.rows, 0) is Place.REFUSED:
            self.counts["export_lost"] += 1

    def run(self) -> None:
        """Until `stop`, and then until all is sent or the time is up."""
        pause = _EVERY_S
        while not self._stopping.wait(pause):
            pause = _EVERY_S if self._send() else min(_RETRY_S[0] * 2**self._attempts, _RETRY_S[1])
        while self._batch or self._waiting:
            if self._ended.is_set() or time.monotonic() >= self._deadline or not self._send():
                break
        self.counts["export_lost"] += len(self._batch) + len(self._waiting)
        self.abandon()

    def stop(self, deadline: float) -> None:
        """Asks it to finish by `deadline` (`time.monotonic()`)."""
        self._deadline = deadline
        self._stopping.set()

    def abandon(self) -> None:
        """Ends the exporter's own waiting between its retries; nothing is sent afterwards."""
        if not self._ended.is_set():
            self._ended.set()
            self._exporter.shutdown()

    def _send(self) -> bool:
        """False where a batch was refused and has to wait."""
        while self._batch or self._waiting:
            self._batch = self._batch or self._waiting.take(_CHUNK)
            if not self._sent(self._batch):
                self.counts["export_failures"] += 1
                self._attempts += 1
                if self._attempts >= _ATTEMPTS:
                    self.counts["export_lost"] += len(self._batch)
                    self._batch, self._attempts = [], 0
                return False
            self.counts["exported"] += len(self._batch)
            self._batch, self._attempts = [], 0
        return True

    def _sent(self, records: Sequence[Record]) -> bool:
        try:
            spans = [span for record in records for span in spans_of(record, self._resource)]
            return self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # counted by the caller; telemetry never stops anything
            return False
