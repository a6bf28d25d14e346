from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static

from models.batch import Array
from models.gradients import differentiable, verify

Check = Callable[..., None]
Normal = Callable[..., Array]
Node = Callable[..., onnx.ModelProto]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("opset", [13, 19, 21])
def test_quantize_and_dequantize(check: Check, normal: Normal, dtype: type[np.generic], opset: int) -> None:
    scale, zero = np.array(0.02, np.float32), np.array(3, dtype)
    check("QuantizeLinear", [2 * normal(4, 5), scale, zero], fixed=(1, 2), opset=opset)
    check("DequantizeLinear", [np.arange(20).astype(dtype), scale, zero], fixed=(1, 2), opset=opset)


def test_scales_of_channels(check: Check, normal: Normal) -> None:
    scale, zero = np.array([0.02, 0.05, 0.1], np.float32), np.array([1, 2, 3], np.int8)
    check("QuantizeLinear", [normal(2, 3, 4), scale, zero], fixed=(1, 2), axis=1)
    check("DequantizeLinear", [np.arange(24, dtype=np.int8).reshape(2, 3, 4), scale, zero], fixed=(1, 2), axis=1)


def test_scales_of_blocks(check: Check, normal: Normal) -> None:
    scale = np.abs(normal(2, 2)) + np.float32(0.1)
    check("DequantizeLinear", [np.arange(12, dtype=np.int8).reshape(2, 6), scale], fixed=(1,), axis=1, block_size=3)


def test_dynamic_quantization(check: Check, normal: Normal) -> None:
    check("DynamicQuantizeLinear", [3 * normal(4, 5)], outputs=3)
    check("DynamicQuantizeLinear", [np.abs(normal(4, 5)) + 2], outputs=3)


def test_integer_products(check: Check) -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 255, (3, 4), np.uint8), random.integers(-128, 127, (4, 5), np.int8)
    check("MatMulInteger", [a, b], fixed=(1,))
    check("MatMulInteger", [a, b, np.array(7, np.uint8), np.array(-2, np.int8)], fixed=(1, 2, 3))
    x, weight = random.integers(0, 255, (1, 2, 5, 5), np.uint8), random.integers(0, 255, (3, 2, 3, 3), np.uint8)
    check("ConvInteger", [x, weight, np.array(7, np.uint8), np.array(9, np.uint8)], fixed=(1, 2, 3), pads=[1, 1, 1, 1])


def test_rounding_passes_the_gradient_and_saturation_stops_it(node: Node) -> None:
    scale = np.array(0.5, np.float32)
    model = node("QuantizeLinear", [np.zeros(4, np.float32), scale, np.array(0, np.int8)], fixed=(1, 2))
    x = torch.tensor([0.3, -1.1, 1000.0, -1000.0], requires_grad=True)
    y = differentiable(model, "o0")(x)
    assert y.tolist() == [1.0, -2.0, 127.0, -128.0]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def convolutional(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    """A small network of convolutions with random weights, and rows for it."""
    random = np.random.default_rng(0)
    shapes = {"w1": (8, 1, 3, 3), "w2": (8, 8, 3, 3), "w3": (8, 5)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], strides=[2, 2]),
        helper.make_node("Tanh", ["c"], ["d"]),
        helper.make_node("ReduceMean", ["d"], ["e"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["e", "w3"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 1, 9, 9])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(0.4 * random.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()],
    )
    path = tmp_path_factory.mktemp("model") / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path, random.standard_normal((16, 1, 9, 9)).astype(np.float32)


class Rows(CalibrationDataReader):  # type: ignore[misc]
    """The rows one by one, as onnxruntime's quantizer reads them."""

    def __init__(self, x: Array) -> None:
        self.rows = iter(x)

    def get_next(self) -> dict[str, Array] | None:
        row = next(self.rows, None)
        return None if row is None else {"x": row[None]}


@pytest.mark.parametrize("static", [False, True])
def test_a_network_that_onnxruntime_quantized(convolutional: tuple[Path, Array], static: bool, tmp_path: Path) -> None:
    path, x = convolutional
    quantized = tmp_path / "quantized.onnx"
    if static:
        quantize_static(path, quantized, Rows(x), quant_format=QuantFormat.QDQ)
    else:
        quantize_dynamic(path, quantized)
    module, original = differentiable(quantized), differentiable(path)
    assert verify(module, quantized, x) <= 0.01  # less than a step of the last scale
    gradients = []
    for run in (module, original):
        rows = torch.tensor(x, requires_grad=True)
        run(rows)[:, 0].sum().backward()
        assert rows.grad is not None
        gradients.append(rows.grad.flatten(1))
    assert float(torch.cosine_similarity(gradients[0], gradients[1]).min()) > 0.8
