"""ONNX models made of a few nodes, and what onnxruntime says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from models.backend import ModelBackend
from models.batch import Array, Arrays
from models.specs import OnnxSpec, load_model, resolve

RNG = np.random.default_rng(0)
FLOAT = TensorProto.FLOAT
N = "n"


Node = tuple[str, str, str, dict[str, Any]]


def weights(*shape: int) -> Array:
    """Normal, a third wide, seeded in the order of the calls."""
    return (RNG.standard_normal(shape) / 3).astype(np.float32)


def build(
    path: Path,
    nodes: Sequence[Node],
    constants: Arrays,
    inputs: Sequence[tuple[str, int, Sequence[Any]]],
    outputs: Sequence[tuple[str, int, Sequence[Any]]],
) -> Path:
    """A model of nodes given as (operator, "inputs", "outputs", attributes)."""
    made = [helper.make_node(op, reads.split(), makes.split(), **more) for op, reads, makes, more in nodes]
    graph = helper.make_graph(
        made,
        "graph",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


def reference(path: Path, feeds: Arrays) -> list[Array]:
    """What onnxruntime answers."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    arrays: list[Array] = session.run(None, dict(feeds))
    return arrays


def loaded(spec: OnnxSpec, x: Array) -> ModelBackend:
    """The model, through the JSON that a bundle keeps of its spec."""
    resolved = resolve(spec, x)
    assert resolved.is_resolved
    return load_model(OnnxSpec.model_validate_json(resolved.model_dump_json()))


MLP: list[Node] = [
    ("Gemm", "x w1 b1", "h", {}),
    ("Relu", "h", "features", {}),
    ("Gemm", "features w2 b2", "y", {}),
]
MLP_WEIGHTS = {"w1": weights(4, 6), "b1": weights(6), "w2": weights(6, 3), "b2": weights(3)}


def mlp(path: Path, ending: str | None = None, rows: Any = N) -> Path:
    """Four columns, six features, three classes; `ending` is one more operator."""
    nodes = [*MLP, *([(ending, "y", "out", {})] if ending else [])]
    name = "out" if ending else "y"
    return build(path, nodes, MLP_WEIGHTS, [("x", FLOAT, [rows, 4])], [(name, FLOAT, [rows, 3])])
