"""A small ONNX model of digits with its data on disk, and the config that protects it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from gateway.config import Config
from tests import tiny

CHAIN = [
    {"kind": "contract"},
    {"kind": "mahalanobis"},
    {"kind": "energy", "name": "doubt"},
    {"kind": "nearest", "when": "suspicious", "share": 0.2},
]


def to_onnx(net: tiny.Net, path: Path) -> None:
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
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 10])],
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


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The model, 1000 training rows and 797 others, as files' contents."""
    folder = tmp_path_factory.mktemp("digits")
    case = tiny.image()
    to_onnx(case.net, folder / "digits.onnx")
    pixels, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))  # as tests.tiny splits them
    x = (pixels[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    fitted = tiny.FITTED
    np.savez(folder / "train.npz", x=x[:fitted], y=y[order][:fitted])
    np.savez(folder / "test.npz", x=x[fitted:], y=y[order][fitted:])
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def project(files: dict[str, bytes], tmp_path: Path) -> Project:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return Project(tmp_path)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes arrays to an .npz file."""

    def save(name: str = "data.npz", **arrays: Any) -> Path:
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save
