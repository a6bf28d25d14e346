"""The BentoML service: the only file that imports bentoml, and no logic. `gateway.app` answers most routes.

`WATCHGATE_CONFIG=watchgate.yaml bentoml serve gateway.service:Gateway`; WATCHGATE_WORKERS is the number of processes.
"""

from __future__ import annotations

from typing import Any

import bentoml
import numpy as np
from bentoml.exceptions import ServiceUnavailable

from gateway.http.door import PATHS, Door
from gateway.worker import Worker, workers

WORKER = Worker()
NO_INPUTS: dict[str, Any] = {}
# Each layer costs more than the whole gateway does; it has numbers, traces and limits of its own. `timeout` is for
# BentoML's own routes: its timer outlives every request. `max_concurrency` stays unset: its 429 would come out of turn.
CONFIG: dict[str, Any] = {
    "traffic": {"timeout": 15},
    "metrics": {"enabled": False, "namespace": "watchgate"},
    "logging": {"access": {"enabled": False}},
    "tracing": {"excluded_urls": ",".join((*PATHS, "/livez", "/readyz", "/healthz", "/schema.json"))},
}


@bentoml.service(name="watchgate", workers=workers(), **CONFIG)
class Gateway:
    """Protected models behind the Open Inference Protocol and /predict."""

    def __init__(self) -> None:
        WORKER.start()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(
        self,
        x: np.ndarray = None,  # type: ignore[assignment,type-arg] # a plain tensor to BentoML's client
        endpoint: str = "",
        inputs: dict[str, Any] = NO_INPUTS,
        certify: bool = False,
    ) -> dict[str, Any]:
        """Rows in, outputs and verdicts out: `x` are rows of the model's only input, `inputs` rows by input name.

        `endpoint` says which model, where there are several; `certify` asks for certificates.
        Declared for BentoML's schema and client: the door answers this route whenever the gateway is up.
        """
        raise ServiceUnavailable("the gateway is starting or shutting down")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Answers what was accepted, then closes the trace store."""
        await WORKER.stop()


Gateway.add_asgi_middleware(Door, worker=WORKER)  # type: ignore[attr-defined]
