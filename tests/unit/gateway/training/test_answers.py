"""What callers may see is checked when an endpoint is calibrated and when it is served, and needs no new bundle."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from tests.project import Project

BLIND = {"kind": "onnx", "input": {"bounds": [0, 1]}, "outputs": {"kind": "none"}, "features": "none"}
ANSWERS = [{"kind": "labels_only"}]


def test_a_policy_takes_effect_without_a_new_bundle(project: Project) -> None:
    calibrate(project.config(chain=[]), "digits")
    assert load_endpoints(project.config(chain=[]))["digits"].disclosure is None
    endpoint = load_endpoints(project.config(chain=[], answers=ANSWERS))["digits"]
    assert endpoint.disclosure is not None
    logits = np.array([[1.0, 3.0, 2.0]], dtype=np.float32)
    told = endpoint.disclosure.apply({"logits": logits})["logits"]
    assert told.argmax() == 1
    assert len(np.unique(told)) == 2


def test_a_model_without_classes_is_refused_at_calibrate_and_at_serve(project: Project) -> None:
    model = {**BLIND, "path": project.folder / "digits.onnx"}
    says = r"^endpoints\.digits\.answers: expected a model with class outputs"
    with pytest.raises(OperatorError, match=says):
        calibrate(project.config(model=model, chain=[], answers=ANSWERS), "digits")
    calibrate(project.config(model=model, chain=[]), "digits")
    with pytest.raises(OperatorError, match=says):
        load_endpoints(project.config(model=model, chain=[], answers=ANSWERS))
