"""A model in a config: what may be said of it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models.specs import AnyModelSpec, ModelSpec, OnnxSpec, PytorchSpec

ADAPTER: TypeAdapter[ModelSpec] = TypeAdapter(AnyModelSpec)


def test_a_config_names_a_kind_and_a_path() -> None:
    spec = ADAPTER.validate_python({"kind": "onnx", "path": "digits.onnx", "input": {"bounds": [0, 1]}, "guard": "x"})
    assert isinstance(spec, OnnxSpec)
    assert spec.path == Path("digits.onnx")
    assert spec.input.bounds == (0.0, 1.0)
    assert spec.guard == ("x",)
    assert not spec.is_resolved
    assert ADAPTER.validate_json(ADAPTER.dump_json(spec)) == spec


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "onnx", "path": "m.onnx", "colour": "red"}, "colour"),
        ({"kind": "onnx", "path": "m.onnx", "input": {"bounds": [1, 0]}}, "low < high"),
        ({"kind": "onnx", "path": "m.onnx", "input": {"bounds": [0]}}, "bounds"),
        ({"kind": "onnx", "path": "m.onnx", "outputs": {"kind": "none", "logits": "y"}}, "no classes"),
        ({"kind": "onnx", "path": "m.onnx", "threads": 0}, "threads"),
        ({"kind": "onnx", "path": "m.onnx", "providers": []}, "providers"),
        ({"kind": "onnx", "path": "m.onnx", "providers": ["tpu"]}, "providers"),
        ({"kind": "tensorflow", "path": "m.pb"}, "kind"),
        *[
            ({"kind": "pytorch", "path": f"m{suffix}"}, "a pickle, which runs code")
            for suffix in (".pt", ".pth", ".bin", ".pkl")
        ],
        ({"kind": "pytorch", "path": "m.onnx"}, "found 'm.onnx'"),
        ({"kind": "pytorch", "path": "m.safetensors"}, "factory"),
        ({"kind": "pytorch", "path": "m.pt2", "factory": "./net.py:make"}, "factory"),
        ({"kind": "pytorch", "path": "m.safetensors", "factory": "net.py"}, "factory"),
    ],
)
def test_what_makes_no_sense_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python(entry)


def test_an_image_is_resolved_only_with_its_layout() -> None:
    entry: dict[str, Any] = {
        "path": "m.pt2",
        "input": {"kind": "image", "shape": [3, 8, 8]},
        "guard": "x",
        "outputs": {"kind": "none"},
        "features": "none",
    }
    assert not PytorchSpec.model_validate(entry).is_resolved
    entry["input"]["layout"] = "NCHW"
    assert PytorchSpec.model_validate(entry).is_resolved
    entry["outputs"] = {"kind": "logits"}
    assert not PytorchSpec.model_validate(entry).is_resolved
