"""The chains that are measured, as config files with bundles calibrated for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml import YAML

from benchmarks.serving.workload import Workload
from gateway.configfile import read
from gateway.errors import BundleError
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints

CHEAP: tuple[Mapping[str, Any], ...] = (
    {"kind": "contract"},
    {"kind": "mahalanobis"},
    {"kind": "nearest"},
    {"kind": "energy"},
)


@dataclass(frozen=True)
class ChainChoice:
    """A chain as a config file writes it."""

    title: str
    stages: tuple[Mapping[str, Any], ...]


CHAINS: Mapping[str, ChainChoice] = MappingProxyType(
    {
        "empty": ChainChoice("empty chain", ()),
        "cheap": ChainChoice("cheap chain", CHEAP),
        "squeezing": ChainChoice("cheap + squeezing on every row", (*CHEAP, {"kind": "feature_squeezing"})),
        "suspicious": ChainChoice(
            "cheap + squeezing `when: suspicious`", (*CHEAP, {"kind": "feature_squeezing", "when": "suspicious"})
        ),
    }
)


def prepare(work: Workload, endpoint: str, chain: str, reuse: bool) -> Path:
    """Writes the chain's config beside a bundle calibrated for it; with `reuse` a fitting older bundle will do."""
    folder = work.folder / chain
    folder.mkdir(exist_ok=True)
    path = folder / "watchgate.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(document(work, endpoint, chain), file)
    config = read(path)
    if reuse:
        try:
            load_endpoints(config)
            return path
        except BundleError:
            pass
    calibrate(config, endpoint)
    return path


def document(work: Workload, endpoint: str, chain: str) -> dict[str, Any]:
    """The config: defaults wherever they exist, the model on one thread as everywhere here."""
    model = {"kind": "onnx", "path": str(work.model), "input": {"bounds": [0, 1]}, "threads": 1}
    settings = {
        "model": model,
        "reference": str(work.reference),
        "holdout": str(work.holdout),
        "chain": [dict(stage) for stage in CHAINS[chain].stages],
    }
    return {"endpoints": {endpoint: settings}}
