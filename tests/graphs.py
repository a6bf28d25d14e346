"""Small ONNX graphs that give rows a score."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import TensorProto, helper


def scoring(
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto] = (),
    outputs: Sequence[str] = ("score",),
    opsets: Sequence[tuple[str, int]] = (("", 17),),
) -> onnx.ModelProto:
    """The graph of these nodes from `x`, float32 of any shape."""
    ends = [onnx.ValueInfoProto(name=name) for name in outputs]
    for end in ends:
        end.type.tensor_type.elem_type = TensorProto.FLOAT
    start = onnx.ValueInfoProto(name="x")
    start.type.tensor_type.elem_type = TensorProto.FLOAT
    graph = helper.make_graph(list(nodes), "score", [start], ends, list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*opset) for opset in opsets], ir_version=8)


def ink() -> onnx.ModelProto:
    """The sum of a row's absolute values."""
    return scoring(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("ReduceL1", ["flat"], ["score"], axes=[1], keepdims=0),
        ]
    )


def ink_among_others() -> onnx.ModelProto:
    """The same, less the mean of all rows that come with it: what no score may look at."""
    return scoring(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("ReduceL1", ["flat"], ["ink"], axes=[1], keepdims=0),
            helper.make_node("ReduceMean", ["ink"], ["usual"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["ink", "usual"], ["score"]),
        ]
    )


@cache
def ink_file() -> Path:
    """`ink` as a file that goes away with the process."""
    folder = TemporaryDirectory(prefix="watchgate-tests-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "ink.onnx"
    onnx.save(ink(), path)
    return path
