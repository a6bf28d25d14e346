"""Chains calibrated as an operator would, and what they decide on rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import Images
from benchmarks.statistics import Rate
from gateway.chain import Chain
from gateway.config import Config
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from gateway.verdict import Action
from models.batch import Batch

ENDPOINT = "mnist"
BUDGET = {"flag": 0.05, "reject": 0.01}
STAGES = ("contract", "input_statistics", "mahalanobis", "nearest", "energy", "feature_squeezing")
CHUNK_ROWS = 256


@dataclass(frozen=True)
class Data:
    """The files a chain is calibrated from."""

    model: Path
    reference: Path
    holdout: Path


@dataclass(frozen=True)
class Found:
    """Of n rows: how many were rejected (the budget is 1 %), and flagged or rejected (5 %)."""

    rejected: Rate
    flagged: Rate


def columns() -> dict[str, tuple[Mapping[str, Any], ...]]:
    """The chains that are compared: each stage alone, all together with and without a gate, and the combiner."""
    alone = {kind: ({"kind": kind},) for kind in STAGES}
    cheap = tuple({"kind": kind} for kind in STAGES[:-1])
    return {
        **alone,
        "chain": (*cheap, {"kind": STAGES[-1]}),
        "chain, squeezing `when: suspicious`": (*cheap, {"kind": STAGES[-1], "when": "suspicious"}),
        "contract and combiner": ({"kind": "contract"}, {"kind": "combiner"}),
    }


def calibrated(data: Data, stages: tuple[Mapping[str, Any], ...], folder: Path) -> Chain:
    """Calibrates a chain for the budget and loads it from its bundle, as `watchgate serve` does."""
    config = Config.model_validate(
        {
            "endpoints": {
                ENDPOINT: {
                    "model": {"kind": "onnx", "path": str(data.model), "input": {"bounds": [0, 1]}},
                    "reference": data.reference,
                    "holdout": data.holdout,
                    "budget": BUDGET,
                    "chain": [dict(stage) for stage in stages],
                }
            },
            "bundle": folder,
        }
    )
    calibrate(config, ENDPOINT)
    return load_endpoints(config)[ENDPOINT].chain


def found(chain: Chain, x: Images) -> Found:
    """What the chain decides on these rows."""
    starts = range(0, len(x), CHUNK_ROWS)
    actions = [chain.run(Batch(x[start : start + CHUNK_ROWS].copy())).verdicts.actions for start in starts]
    all_actions = np.concatenate([np.empty(0, np.uint8), *actions])
    rejected, flagged = (int((all_actions >= level).sum()) for level in (Action.REJECT, Action.FLAG))
    return Found(Rate(rejected, len(x)), Rate(flagged, len(x)))
