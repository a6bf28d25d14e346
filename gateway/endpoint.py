"""A protected model, loaded and ready to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.drift.monitor import Monitor
from detectors.queries.extraction import Extraction
from detectors.queries.likeness import Likeness
from gateway.chain import Chain
from gateway.config import EndpointConfig
from gateway.disclosure import Disclosure
from gateway.telemetry.observation import ChainInfo


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What serves POST /v2/models/<name>/infer: its config, its chain, and what its traces say of that chain.

    `disclosure` is what callers see of the model's answers; None: all. `coarse` is what a marked principal sees where
    `queries` says so, `likeness` what it knows of honest queries; `monitor` watches for drift where `drift` says so.
    `measured` are the shares of check rows that calibrate saw flagged (rejected ones counted in) and rejected.
    `errors` is the monitor of the model's errors, where `feedback` says that labels are taken and calibrate had some.
    `spread` is how honest rows are spread over the input space, where `queries` says that queries are looked at.
    """

    name: str
    config: EndpointConfig
    chain: Chain
    info: ChainInfo
    disclosure: Disclosure | None = None
    coarse: Disclosure | None = None
    likeness: Likeness | None = None
    monitor: Monitor | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    spread: Extraction | None = None
    errors: Monitor | None = None
