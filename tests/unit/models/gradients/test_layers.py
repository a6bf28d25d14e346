"""Layers with weights: products, convolutions, normalizations, recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.batch import Array

Check = Callable[..., None]
Normal = Callable[..., Array]
Attributes = dict[str, Any]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"transB": 1},
        {"transA": 1},
        {"transB": 1, "alpha": 0.5},
        {"transB": 1, "beta": 2.0},
        {"alpha": 0.5, "beta": 2.0, "transA": 1, "transB": 1},
    ],
)
@pytest.mark.parametrize("bias", [None, (5,), (4, 1), ()])
def test_gemm(check: Check, normal: Normal, attributes: Attributes, bias: tuple[int, ...] | None) -> None:
    a = normal(*((3, 4) if attributes.get("transA") else (4, 3)))
    b = normal(*((5, 3) if attributes.get("transB") else (3, 5)))
    c = None if bias is None else normal(*bias)
    check("Gemm", [a, b, c if c is None else np.asarray(c)], fixed=(1, 2), gradient=True, **attributes)


@pytest.mark.parametrize("shapes", [((4, 3), (3, 2)), ((2, 5, 4, 3), (5, 3, 2)), ((3,), (3, 2)), ((2, 4, 3), (3,))])
def test_matmul(check: Check, normal: Normal, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    check("MatMul", [normal(*shape) for shape in shapes], fixed=(1,), gradient=True)


@pytest.mark.parametrize("equation", ["bij, bjk -> bik", "bhid,bhjd->bhij"])
def test_einsum(check: Check, normal: Normal, equation: str) -> None:
    shapes = [(2, 3, 4), (2, 4, 5)] if "h" not in equation else [(2, 2, 3, 4), (2, 2, 5, 4)]
    check("Einsum", [normal(*shape) for shape in shapes], fixed=(1,), gradient=True, equation=equation)


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Attributes]] = [
    ((2, 3, 9), (4, 3, 3), {}),
    ((2, 3, 9), (4, 3, 4), {"pads": [1, 2], "strides": [2]}),
    ((1, 3, 7, 8), (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((1, 3, 7, 8), (4, 3, 3, 2), {"pads": [0, 1, 2, 1], "strides": [2, 1]}),
    ((1, 4, 7, 8), (6, 2, 3, 3), {"group": 2, "dilations": [2, 1]}),
    ((1, 4, 7, 8), (4, 1, 3, 3), {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ((1, 3, 7, 8), (4, 3, 2, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ((1, 3, 7, 8), (4, 3, 2, 3), {"auto_pad": "VALID", "kernel_shape": [2, 3]}),
    ((1, 2, 4, 5, 6), (3, 2, 2, 2, 2), {"strides": [1, 2, 2]}),
]


@pytest.mark.parametrize(("x", "weight", "attributes"), CONVOLUTIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_conv(
    check: Check, normal: Normal, x: tuple[int, ...], weight: tuple[int, ...], attributes: Attributes, bias: bool
) -> None:
    inputs = [normal(*x), normal(*weight)] + ([normal(weight[0])] if bias else [])
    check("Conv", inputs, fixed=(1, 2), tolerance=2e-5, gradient=True, **attributes)


TRANSPOSED: list[tuple[tuple[int, ...], tuple[int, ...], Attributes]] = [
    ((2, 3, 5), (3, 4, 3), {"strides": [2]}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2], "output_padding": [1, 1]}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"pads": [0, 1, 2, 1], "strides": [2, 3]}),
    ((1, 4, 4, 5), (4, 3, 3, 3), {"group": 2, "dilations": [2, 1]}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"strides": [2, 2], "output_shape": [8, 10]}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((1, 3, 4, 5), (3, 4, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER", "output_shape": [8, 10]}),
]


@pytest.mark.parametrize(("x", "weight", "attributes"), TRANSPOSED)
@pytest.mark.parametrize("bias", [False, True])
def test_conv_transpose(
    check: Check, normal: Normal, x: tuple[int, ...], weight: tuple[int, ...], attributes: Attributes, bias: bool
) -> None:
    filters = weight[1] * attributes.get("group", 1)
    inputs = [normal(*x), normal(*weight)] + ([normal(filters)] if bias else [])
    check("ConvTranspose", inputs, fixed=(1, 2), tolerance=2e-5, gradient=True, **attributes)


@pytest.mark.parametrize("opset", [13, 14, 15, 21])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5)])
def test_batch_normalization(check: Check, normal: Normal, shape: tuple[int, ...], opset: int) -> None:
    inputs = [normal(*shape), normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.1]
    check("BatchNormalization", inputs, fixed=(1, 2, 3, 4), opset=opset, gradient=True, epsilon=1e-3, momentum=0.8)


def test_instance_normalization(check: Check, normal: Normal) -> None:
    inputs = [normal(2, 3, 4, 5), normal(3), normal(3)]
    check("InstanceNormalization", inputs, fixed=(1, 2), gradient=True, epsilon=1e-3)


@pytest.mark.parametrize(("axis", "shape"), [(-1, (5,)), (2, (4, 5)), (1, (3, 4, 5)), (1, (5,))])
@pytest.mark.parametrize("bias", [False, True])
def test_layer_normalization(check: Check, normal: Normal, axis: int, shape: tuple[int, ...], bias: bool) -> None:
    inputs = [normal(2, 3, 4, 5), normal(*shape)] + ([normal(*shape)] if bias else [])
    check("LayerNormalization", inputs, fixed=(1, 2), opset=17, gradient=True, axis=axis, epsilon=1e-4)


def test_layer_normalization_gives_its_statistics(check: Check, normal: Normal) -> None:
    check("LayerNormalization", [normal(2, 3, 4), normal(4), normal(4)], fixed=(1, 2), outputs=3)


@pytest.mark.parametrize("opset", [18, 20, 21, 22])
def test_group_normalization_scales_groups_and_later_channels(check: Check, normal: Normal, opset: int) -> None:
    count = 2 if opset < 21 else 6
    inputs = [normal(2, 6, 4, 5), normal(count), normal(count)]
    check("GroupNormalization", inputs, fixed=(1, 2), opset=opset, gradient=True, num_groups=2)


def test_rms_normalization(check: Check, normal: Normal) -> None:
    check("RMSNormalization", [normal(2, 3, 4), normal(4)], fixed=(1,), opset=23, gradient=True, epsilon=1e-4)


@pytest.mark.parametrize("size", [1, 3, 5])  # onnxruntime takes odd sizes only
def test_local_response_normalization(check: Check, normal: Normal, size: int) -> None:
    check("LRN", [normal(2, 5, 3, 3)], gradient=True, size=size, alpha=0.1, beta=0.6, bias=1.5)


@pytest.mark.parametrize("p", [1, 2])
def test_norm_normalization_leaves_zero_rows(check: Check, normal: Normal, p: int) -> None:
    x = normal(4, 5)
    check("LpNormalization", [x], gradient=True, p=p, axis=1)
    check("LpNormalization", [np.concatenate([x, np.zeros((1, 5), np.float32)])], p=p, axis=1)


def test_mean_variance_normalization(check: Check, normal: Normal) -> None:
    check("MeanVarianceNormalization", [normal(3, 2, 4, 5)], gradient=True)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(check: Check, normal: Normal, kind: str, axis: int) -> None:
    check(kind, [3 * normal(3, 4, 5)], gradient=kind != "Hardmax", axis=axis)


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("states", "bias"), [(False, True), (True, False)])
def test_recurrent_layers(
    check: Check, normal: Normal, kind: str, gates: int, direction: str, states: bool, bias: bool
) -> None:
    ways, hidden = (2 if direction == "bidirectional" else 1), 3
    inputs: list[Array | None] = [
        normal(5, 2, 4),
        normal(ways, gates * hidden, 4),
        normal(ways, gates * hidden, hidden),
    ]
    inputs += [normal(ways, 2 * gates * hidden) if bias else None, None]
    if states:
        inputs += [normal(ways, 2, hidden) for _ in range(2 if kind == "LSTM" else 1)]
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    outputs = 3 if kind == "LSTM" else 2
    check(
        kind, inputs, fixed=(1, 2, 3), outputs=outputs, gradient=True, direction=direction, hidden_size=hidden, **more
    )


@pytest.mark.parametrize("mask", [None, "added", "chosen"])
@pytest.mark.parametrize("is_causal", [0, 1])
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_attention(check: Check, normal: Normal, mask: str | None, is_causal: int, kv_heads: int) -> None:
    bias = normal(5, 5)
    masks = {None: [], "added": [bias], "chosen": [(bias > -1) | np.eye(5, dtype=bool)]}[mask]
    inputs = [normal(2, 4, 5, 3), normal(2, kv_heads, 5, 3), normal(2, kv_heads, 5, 3), *masks]
    check("Attention", inputs, fixed=(1, 2), opset=23, is_causal=is_causal)
    flat = [a.transpose(0, 2, 1, 3).reshape(2, 5, -1) for a in inputs[:3]]
    attributes = {"is_causal": is_causal, "q_num_heads": 4, "kv_num_heads": kv_heads, "scale": 0.3}
    check("Attention", [*flat, *masks], fixed=(1, 2), opset=23, **attributes)
