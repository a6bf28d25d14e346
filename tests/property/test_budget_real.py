"""The chain keeps its budget on MNIST and adult: 200 splits of real detectors' scores, and what calibrate prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.config import Config
from gateway.training.calibrate import calibrate
from tests.budgets import outcomes
from tests.columns import chain
from tests.project import to_onnx
from tests.real import FITTED, real, real_scores

RANK, CALIBRATE = 1000, 1500
DATA = ["mnist", "adult"]


@pytest.mark.slow
@pytest.mark.parametrize("budget", [0.005, 0.01, 0.05])
@pytest.mark.parametrize(("width", "conditional"), [(1, False), (8, False), (8, True)])
@pytest.mark.parametrize("name", DATA)
def test_the_rate_follows_the_law_or_stays_below(name: str, width: int, conditional: bool, budget: float) -> None:
    scores = np.ascontiguousarray(real_scores(name)[:8000, :width])
    for guarantee, outcome in outcomes(scores, chain(width, conditional), budget, RANK, CALIBRATE).items():
        assert outcome.excess <= 3.0
        assert outcome.hits.mean() > 0.5 * outcome.law.mean()  # within budget, and not by flagging nobody
        share, most = outcome.over(budget)
        assert guarantee == "average" or share <= most


@pytest.mark.parametrize("name", DATA)
def test_the_printed_rate_lies_in_its_predictive_interval(name: str, tmp_path: Path) -> None:
    data = real(name)
    to_onnx(data.network, tmp_path / "model.onnx")
    np.savez(tmp_path / "train.npz", x=data.x[:FITTED], y=data.y[:FITTED])
    np.savez(tmp_path / "test.npz", x=data.x[FITTED:], y=data.y[FITTED:])
    kinds: list[dict[str, Any]] = [{"kind": kind} for kind in ("contract", "mahalanobis", "energy")]
    endpoint = {
        "model": {"kind": "onnx", "path": tmp_path / "model.onnx"},
        "reference": tmp_path / "train.npz",
        "holdout": tmp_path / "test.npz",
        "chain": [*kinds, {"kind": "nearest", "when": "suspicious"}],
    }
    report = calibrate(Config.model_validate({"endpoints": {name: endpoint}, "bundle": tmp_path / "bundle"}), name)
    assert report.warnings == ()
    for rate in (report.measured.flag, report.measured.reject):
        assert rate is not None
        assert rate.predicted[0] <= rate.hits <= rate.predicted[1]
