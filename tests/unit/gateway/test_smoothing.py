"""What `smoothing` goes with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gateway.config import EndpointConfig
from gateway.errors import OperatorError
from gateway.smoothing import refuse_unsuitable
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import InputSpec
from models.specs import OutputConfig
from tests import digits
from tests.project import Project


def endpoint(**keys: Any) -> EndpointConfig:
    return EndpointConfig.model_validate({"model": {"kind": "onnx", "path": "m.onnx"}, "reference": "r.npz", **keys})


def test_answers_that_are_withheld_are_not_told_by_a_radius() -> None:
    assert endpoint(smoothing={"sigma": 0.25}).smoothing is not None
    with pytest.raises(
        ValidationError, match="a certified radius tells how sure the model is, which `answers` withholds"
    ):
        endpoint(smoothing={"sigma": 0.25}, answers=[{"kind": "labels_only"}])


@pytest.mark.parametrize("wrong", [{}, {"sigma": 0.0}, {"sigma": 1.0, "samples": 10}, {"sigma": 1.0, "alpha": 0.5}])
def test_settings_are_bounded(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="smoothing"):
        endpoint(smoothing=wrong)


def test_models_it_does_not_suit() -> None:
    floats = InputSpec("table", np.dtype("float32"), (4,))
    refuse_unsuitable(floats, OutputConfig(logits="y", kind="logits"))
    with pytest.raises(OperatorError, match="expected an input of real numbers, found int64"):
        refuse_unsuitable(InputSpec("tokens", np.dtype("int64"), (4,)), OutputConfig(logits="y", kind="logits"))
    with pytest.raises(OperatorError, match="expected a model with class outputs"):
        refuse_unsuitable(floats, OutputConfig(kind="none"))


@pytest.mark.parametrize("kind", ["logits", "none"])
def test_serve_refuses_what_does_not_suit(kind: str, tmp_path: Path) -> None:
    digits.write(tmp_path)
    model = {"kind": "onnx", "path": tmp_path / "digits.onnx", "outputs": {"kind": kind}}
    config = Project(tmp_path).config(model=model, chain=[], smoothing={"sigma": 0.25})
    calibrate(config, "digits")
    if kind == "logits":
        assert load_endpoints(config)["digits"].config.smoothing is not None
        return
    with pytest.raises(OperatorError, match=r"endpoints.digits.smoothing: expected a model with class outputs"):
        load_endpoints(config)
