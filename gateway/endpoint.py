"""A protected model, loaded and ready to answer."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.chain import Chain
from gateway.config import EndpointConfig
from gateway.telemetry.observation import ChainInfo


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What serves POST /v2/models/<name>/infer: its config, its chain, and what its traces say of that chain."""

    name: str
    config: EndpointConfig
    chain: Chain
    info: ChainInfo
