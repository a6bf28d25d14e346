"""Two classifiers of 28x28 images as ONNX files with seeded random weights: only what they cost matters."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.data import SIDE, Images, smooth_images

CLASSES = 10

Vector = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Conv:
    """A 3x3 convolution with ReLU: how many channels it makes, and its stride."""

    channels: int
    stride: int = 1


@dataclass(frozen=True)
class Net:
    """A network: convolutions, the mean over space, one dense layer."""

    name: str
    layers: tuple[Conv, ...]
    seed: int = 0


TINY = Net("tiny", (Conv(16, 2), Conv(32)))
MEDIUM = Net("medium", (Conv(32), Conv(64), Conv(64), Conv(64, 2), Conv(192, 2)))
NETS = (TINY, MEDIUM)


def single_threaded(path: Path) -> onnxruntime.InferenceSession:
    """A session as every server of this benchmark opens it: one thread, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def build(net: Net, path: Path) -> Path:
    """Writes the network, its dense layer set so that every class is predicted and logits are apart; gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(net, np.ones(CLASSES), np.zeros(CLASSES)), path)
    logits = single_threaded(path).run(["logits"], {"image": smooth_images(256, seed=net.seed)})[0]
    scale = 3.0 / logits.std(axis=0)
    onnx.save(_model(net, scale, -scale * logits.mean(axis=0)), path)
    return path


def row_us(path: Path, x: Images, rounds: int = 200) -> float:
    """Microseconds that one row takes in onnxruntime alone, the median of some rounds."""
    session = single_threaded(path)
    took = []
    for index in range(rounds):
        row = x[index % len(x)][None]
        started = time.perf_counter_ns()
        session.run(None, {"image": row})
        took.append((time.perf_counter_ns() - started) / 1e3)
    return float(np.median(took))


def _model(net: Net, scale: Vector, bias: Vector) -> onnx.ModelProto:
    rng = np.random.default_rng(net.seed)
    nodes, weights, name, channels = [], [], "image", 1
    for index, layer in enumerate(net.layers):
        kernel = rng.normal(0.0, np.sqrt(2.0 / (9 * channels)), (layer.channels, channels, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"kernel{index}"))
        strides = [layer.stride] * 2
        nodes.append(helper.make_node("Conv", [name, f"kernel{index}"], [f"c{index}"], pads=[1] * 4, strides=strides))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        name, channels = f"r{index}", layer.channels
    dense = rng.normal(0.0, np.sqrt(1.0 / channels), (channels, CLASSES)) * scale
    weights.append(numpy_helper.from_array(dense.astype(np.float32), "dense"))
    weights.append(numpy_helper.from_array(bias.astype(np.float32), "bias"))
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
    nodes.append(helper.make_node("Gemm", ["features", "dense", "bias"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        net.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["rows", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
