"""What the server tells about itself: GET pages of the Open Inference Protocol, made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.http.judging import Served
from gateway.metrics.facts import release
from models.backend import TensorSpec

_encode = msgspec.json.encode


def paths(served: Served) -> tuple[str, ...]:
    """Where an endpoint answers: with and without its version."""
    base = f"/v2/models/{served.endpoint.name}"
    versions = dict.fromkeys((served.signature.version, served.info.version))
    return (base, *(f"{base}/versions/{version}" for version in versions))


def feedback_paths(endpoints: Mapping[str, Served]) -> dict[str, Served]:
    """Where endpoints take true labels."""
    taking = (served for served in endpoints.values() if served.endpoint.config.feedback is not None)
    return {f"/v2/models/{served.endpoint.name}/feedback": served for served in taking}


def pages(endpoints: Mapping[str, Served]) -> dict[str, bytes]:
    """Body by path."""
    about = {"name": "watchgate", "version": release(), "extensions": ["binary_tensor_data"]}
    found = {"/v2": _encode(about), "/v2/health/live": _encode({"live": True})}
    for served in endpoints.values():
        page = _encode(_metadata(served))
        found.update(dict.fromkeys(paths(served), page))
    return found


def readiness(endpoints: Mapping[str, Served]) -> dict[str, str]:
    """Paths that say whether requests are taken, each with what it speaks of."""
    found = {"/v2/health/ready": ""}
    for served in endpoints.values():
        found.update({f"{path}/ready": served.endpoint.name for path in paths(served)})
    return found


def _metadata(served: Served) -> dict[str, Any]:
    backend = served.endpoint.chain.backend
    return {
        "name": served.endpoint.name,
        "versions": [served.signature.version],
        "platform": f"watchgate_{served.info.backend_kind or 'model'}",
        "inputs": [_tensor(spec) for spec in backend.inputs],
        "outputs": [_tensor(spec) for spec in backend.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
