"""From a config to what pushes metrics; none where nothing asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.metrics.meter import Numbers
from gateway.metrics.otlp import exporter_for
from gateway.metrics.push import Push
from gateway.telemetry.spans import resource

if TYPE_CHECKING:
    from gateway.telemetry.config import TelemetryConfig


def open_push(telemetry: TelemetryConfig, numbers: Callable[[], Numbers]) -> Push | None:
    """What sends these numbers where the config or OpenTelemetry's own variables say, not started."""
    exporter = exporter_for(telemetry.otlp) if telemetry.otlp_metrics else None
    return None if exporter is None else Push(exporter, resource(telemetry.sender), numbers)
