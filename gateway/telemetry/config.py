"""The key `telemetry` of a config: what is told to whom of how the gateway does."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field

from gateway.strict import Strict


class TelemetryConfig(Strict):
    """`otlp` is an OTLP/HTTP base URL (http://host:4318); null: OTEL_EXPORTER_OTLP_* if set, else no export.

    `otlp_metrics` sends metrics there as well; off by default, since receivers of traces alone refuse them.

    `metrics` says who may read /metrics on the protected endpoint, whose numbers tell an attacker what was flagged and
    by which stage: programs on this machine, all, or nobody.
    """

    otlp: str | None = None
    otlp_metrics: bool = False
    sample_clean: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    service_name: str = "watchgate"
    metrics: Literal["local", "all", "off"] = "local"

    @property
    def sender(self) -> str | None:
        """The service name to send under; None leaves it to `OTEL_SERVICE_NAME`."""
        stated = "service_name" in self.model_fields_set or "OTEL_SERVICE_NAME" not in os.environ
        return self.service_name if stated else None
