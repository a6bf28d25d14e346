"""A small ONNX model of digits with its data on disk, and the config that protects it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import onnx
from onnx import TensorProto, helper, numpy_helper

from gateway.config import Config
from models.batch import Array, InputSpec

CHAIN: list[dict[str, Any]] = [
    {"kind": "contract"},
    {"kind": "mahalanobis"},
    {"kind": "energy", "name": "doubt"},
    {"kind": "nearest", "when": "suspicious", "share": 0.2},
]


class OneHidden(Protocol):
    """A network of one hidden layer."""

    @property
    def spec(self) -> InputSpec: ...
    @property
    def first(self) -> Array: ...
    @property
    def bias(self) -> Array: ...
    @property
    def last(self) -> Array: ...


def to_onnx(net: OneHidden, path: Path) -> None:
    """The network as a file: flatten, Gemm, Relu, Gemm."""
    weights = {"w1": net.first, "b1": net.bias, "w2": net.last}
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["pre"]),
        helper.make_node("Relu", ["pre"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", *net.spec.shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", net.last.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@dataclass(frozen=True)
class Project:
    """A folder as an operator has it."""

    folder: Path

    def config(self, **endpoint: Any) -> Config:
        """The config of endpoint `digits`, with these keys changed."""
        settings = {
            "model": {"kind": "onnx", "path": self.folder / "digits.onnx", "input": {"bounds": [0, 1]}},
            "reference": self.folder / "train.npz",
            "holdout": self.folder / "test.npz",
            "chain": CHAIN,
            **endpoint,
        }
        settings = {key: value for key, value in settings.items() if value is not None}
        return Config.model_validate({"endpoints": {"digits": settings}, "bundle": self.folder / "bundle"})
