"""What calibrate learns of honest queries, and what serve makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.errors import BundleError, OperatorError
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from gateway.training.queries import FILE
from tests.project import Project

BLIND = {"kind": "onnx", "input": {"bounds": [0, 1]}, "outputs": {"kind": "none"}, "features": "none"}


def test_a_bundle_knows_honest_queries_where_they_are_asked_for(project: Project) -> None:
    report = calibrate(project.config(chain=[], queries={}), "digits")
    assert [note for note in report.notes if note.startswith("queries: 797 honest check rows of 50 callers mark 0")]
    endpoint = load_endpoints(project.config(chain=[], queries={}))["digits"]
    assert endpoint.likeness is not None
    assert endpoint.coarse is None
    signed = endpoint.likeness.pooled(np.zeros((2, 1, 8, 8), dtype=np.float32))
    assert signed.shape == (2, 4)


def test_what_is_done_about_them_changes_without_a_new_bundle(project: Project) -> None:
    calibrate(project.config(chain=[], queries={}), "digits")
    changed = {"steps": ["coarsen", "refuse"], "rows": 64}
    endpoint = load_endpoints(project.config(chain=[], queries=changed))["digits"]
    assert endpoint.coarse is not None
    assert load_endpoints(project.config(chain=[]))["digits"].likeness is None


def test_a_bundle_without_them_is_refused(project: Project) -> None:
    calibrate(project.config(chain=[]), "digits")
    assert not (project.folder / "bundle" / "digits" / FILE).exists()
    with pytest.raises(BundleError, match=r"^endpoints\.digits\.queries: the bundle knows nothing"):
        load_endpoints(project.config(chain=[], queries={}))


def test_coarse_answers_need_classes(project: Project) -> None:
    model = {**BLIND, "path": project.folder / "digits.onnx"}
    queries = {"steps": ["coarsen"]}
    says = r"^endpoints\.digits\.queries\.steps: coarsen: expected a model with class outputs"
    with pytest.raises(OperatorError, match=says):
        calibrate(project.config(model=model, chain=[], queries=queries), "digits")


def test_too_few_rows_are_told(project: Project) -> None:
    with np.load(project.folder / "train.npz") as file:
        np.savez(project.folder / "few.npz", x=file["x"][:120], y=file["y"][:120])
    config = project.config(chain=[], queries={}, reference=project.folder / "few.npz")
    with pytest.raises(OperatorError, match=r"^endpoints\.digits\.queries: expected at least 320 unlike rows, found"):
        calibrate(config, "digits")
