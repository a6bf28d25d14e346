"""Detectors of somebody else's, from `calibrate` to an endpoint that serves: what is refused where, and what is run."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from detectors.custom import NO_IMPORTS
from gateway.config import Config
from gateway.errors import BundleError, OperatorError
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Batch
from tests import digits, graphs
from tests.project import Project

OWN = """
import numpy as np
from detectors.base import DetectorSpec

class Ink:
    name = "ink"
    def __init__(self, among): self.among = among
    def score(self, view):
        ink = np.abs(view.x).sum(axis=tuple(range(1, view.x.ndim))).astype(np.float32)
        return ink - ink.mean() if self.among and len(ink) else ink

class InkSpec(DetectorSpec):
    among: bool = False
    def build(self, arrays, spec): return Ink(self.among)
"""
CUSTOM = {"kind": "custom", "spec": "foreign_ink:InkSpec"}
FOREST = {"kind": "sklearn", "estimator": "sklearn.ensemble.IsolationForest", "parameters": {"n_estimators": 20}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    digits.write(tmp_path)
    onnx.save(graphs.ink(), tmp_path / "ink.onnx")
    onnx.save(graphs.ink_among_others(), tmp_path / "among.onnx")
    (tmp_path / "foreign_ink.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Project(tmp_path)
    sys.modules.pop("foreign_ink", None)


def config(project: Project, *stages: dict[str, Any]) -> Config:
    return project.config(chain=[{"kind": "contract"}, *stages])


def served(config: Config) -> Config:
    """The config as `serve` reads it: without importing anything."""
    return Config.model_validate(config.model_dump(), context=NO_IMPORTS)


def graph(project: Project, name: str = "ink.onnx") -> dict[str, Any]:
    return {"kind": "onnx", "path": str(project.folder / name)}


ALIBI = pytest.param("alibi", marks=pytest.mark.skipif(find_spec("alibi_detect") is None, reason="an optional extra"))


@pytest.mark.parametrize("kind", ["custom", "onnx", "combiner", ALIBI])
def test_one_that_looks_at_other_rows_is_refused(project: Project, kind: str) -> None:
    bad: dict[str, Any] = {
        "custom": CUSTOM | {"among": True},
        "alibi": {"method": "od.Mahalanobis"},
        "onnx": graph(project, "among.onnx"),
        "combiner": {"evidence": [{"kind": "margin"}, graph(project, "among.onnx")]},
    }
    who = {"custom": "foreign_ink:InkSpec", "alibi": "od.Mahalanobis"}.get(kind, "among.onnx")
    law = "must score the same rows the same way twice" if kind == "alibi" else "a row must score the same in a flood"
    says = f"chain[1] ({kind}): breaks a law that every detector must keep: {who}: {law}"
    with pytest.raises(OperatorError, match=re.escape(says)):
        calibrate(config(project, bad[kind] | {"kind": kind}), "digits")
    assert not (project.folder / "bundle" / "digits").exists()


def test_graphs_are_served_from_the_bundle_alone(project: Project) -> None:
    settings = config(project, graph(project), FOREST)
    report = calibrate(settings, "digits")
    assert not [warning for warning in report.warnings if "trust" in warning]
    (project.folder / "ink.onnx").unlink()
    chain = load_endpoints(served(settings))["digits"].chain
    x = np.load(project.folder / "test.npz")["x"][:64]
    scores = [stage.detector for stage in chain.stages]
    assert [detector.name for detector in scores] == ["contract", "onnx", "sklearn"]
    found = chain.run(Batch(x)).verdicts.stages[1].scores
    assert found == pytest.approx(np.abs(x).reshape(64, -1).sum(axis=1), rel=1e-5)


def test_a_bundle_moves_with_its_config(project: Project, tmp_path: Path) -> None:
    calibrate(config(project, graph(project)), "digits")
    moved = tmp_path / "moved"
    moved.mkdir()
    (project.folder / "bundle").rename(moved / "bundle")
    assert load_endpoints(config(Project(moved), graph(Project(moved))))


def test_code_outside_the_bundle_needs_trust(project: Project) -> None:
    settings = config(project, CUSTOM)
    report = calibrate(settings, "digits")
    said = "stage custom: scores rows with code that the bundle does not hold (foreign_ink): `serve` will refuse it"
    assert [warning for warning in report.warnings if warning.startswith(said)]
    sys.modules.pop("foreign_ink")
    with pytest.raises(BundleError, match=r"chain\[1\] \(custom\): .*\(foreign_ink\); .* `trust: true`"):
        load_endpoints(served(settings))
    assert "foreign_ink" not in sys.modules
    trusted = config(project, CUSTOM | {"trust": True})
    sys.modules.pop("foreign_ink")  # the line above reads a config as `calibrate` does
    chain = load_endpoints(served(trusted))["digits"].chain
    assert chain.stages[1].detector.name == "ink"
    assert "foreign_ink" in sys.modules


def test_code_that_changed_is_not_run(project: Project) -> None:
    settings = config(project, CUSTOM | {"trust": True})
    assert not [warning for warning in calibrate(settings, "digits").warnings if "trust" in warning]
    assert load_endpoints(served(settings))
    sys.modules.pop("foreign_ink")
    (project.folder / "foreign_ink.py").write_text("raise SystemExit('was run')")
    with pytest.raises(BundleError, match=r"chain\[1\].code.foreign_ink is 'sha256:.*', was 'sha256:.*calibrate"):
        load_endpoints(served(settings))
    (project.folder / "foreign_ink.py").unlink()
    with pytest.raises(BundleError, match="no module 'foreign_ink' on the Python path"):
        load_endpoints(served(settings))
    assert "foreign_ink" not in sys.modules
