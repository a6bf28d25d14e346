"""Signatures of loaded models: which input is guarded, and what rows may be sent as."""

from __future__ import annotations

from pathlib import Path

from onnx import TensorProto

from gateway.config import Limits
from gateway.wire.signature import Signature, signature
from models.backend import ModelBackend
from tests import served


def of(backend: ModelBackend) -> Signature:
    return signature("m", "v1", backend, Limits(), "verdict")


def test_an_image_input_takes_images_and_its_own_type(tmp_path: Path) -> None:
    found = of(served.image_model(tmp_path)[1]).inputs["x"]
    assert (found.row, found.image is not None) == ((1, 3, 4), True)
    assert found.takes == "FP32 or BYTES (a PNG or JPEG image a row)"


def test_missing_values_are_let_through_where_the_model_takes_them(tmp_path: Path) -> None:
    assert of(served.table_model(tmp_path, missing="allow")[1]).inputs["x"].missing
    assert not of(served.table_model(tmp_path)[1]).inputs["x"].missing


def test_inputs_beside_the_guarded_one_are_plain(tmp_path: Path) -> None:
    found = of(served.text_model(tmp_path)[1])
    assert {name: field.datatype for name, field in found.inputs.items()} == {"x": "FP32", "t": "BYTES"}
    assert not found.ragged


def test_an_output_that_is_named_verdict_keeps_its_name(tmp_path: Path) -> None:
    _, backend = served.typed_model(tmp_path, TensorProto.FLOAT, outputs=("verdict", "p_value"))
    assert signature("m", "v1", backend, Limits(), "scores").extras == ("watchgate_verdict", "watchgate_p_value")
