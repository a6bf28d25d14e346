"""A small trained network as an ONNX graph in an array: written after training, run by onnxruntime without torch.

onnx and onnxruntime are imported where they are used: a config that names no network is read without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.batch import Array

if TYPE_CHECKING:
    import onnx

_OPSET, _IR = 17, 8


class Layer(NamedTuple):
    """`weight` is (out, in) for a dense layer, (out, in, height, width), odd sizes, for one that slides; `bias` (out,).

    A rectifier stands between layers, none after the last.
    """

    weight: Array
    bias: Array


def encode(layers: Sequence[Layer]) -> Array:
    """The ONNX file as an array of bytes (uint8), for an `.npz`: input `x` (n, in, ...), output `y` (n, out, ...)."""
    import onnx
    from onnx import helper, numpy_helper

    nodes, weights, last = [], [], "x"
    for index, layer in enumerate(layers):
        names = [f"weight{index}", f"bias{index}"]
        for name, array in zip(names, layer, strict=True):
            weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=np.float32), name))
        out = "y" if index == len(layers) - 1 else f"linear{index}"
        nodes.append(_node(layer.weight, [last, *names], out))
        last = out
        if out != "y":
            last = f"rectified{index}"
            nodes.append(helper.make_node("Relu", [out], [last]))
    ends = [_tensor("x", layers[0].weight, 1), _tensor("y", layers[-1].weight, 0)]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    return np.frombuffer(model.SerializeToString(), dtype=np.uint8).copy()


def _node(weight: Array, inputs: list[str], out: str) -> onnx.NodeProto:
    from onnx import helper

    if weight.ndim == 2:
        return helper.make_node("Gemm", inputs, [out], transB=1)
    around = [size // 2 for size in weight.shape[2:]]
    return helper.make_node("Conv", inputs, [out], kernel_shape=weight.shape[2:], pads=[*around, *around])


def _tensor(name: str, weight: Array, axis: int) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    space = [] if weight.ndim == 2 else ["height", "width"]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", weight.shape[axis], *space])


class Network:
    """A loaded graph, its file as bytes. Thread-safe, and on one thread."""

    def __init__(self, graph: Array) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.graph = graph
        self._session = ort.InferenceSession(graph.tobytes(), options, providers=["CPUExecutionProvider"])

    def run(self, x: Array) -> Array:
        """(n, in, ...) float32 to (n, out, ...) float32.

        One row at a time: onnxruntime may add up in another order for a row alone than for the same row among others.
        """
        rows = [self._session.run(["y"], {"x": x[index : index + 1]})[0] for index in range(len(x))]
        return np.concatenate(rows) if rows else np.empty_like(x)
