"""Quantized tensors, with straight-through gradients (Bengio et al. 2013).

A quantized activation is kept as floating numbers that hold integers, because torch gives integer tensors no gradient:
rounding passes the gradient on as it is, saturation by more than a step stops it (a calibrated range is often cut by
part of a step, and a gradient that vanished at its edge would hide the model from an attack).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from onnx import TensorProto
from torch import Tensor

from models.gradients.dtypes import DTYPES
from models.gradients.families.convolution import AUTO_PADS, conv
from models.gradients.operator import Operator

QUANTIZED = (TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16)


def saturated(steps: Tensor, zero: Tensor | float, low: int, high: int) -> Tensor:
    """The nearest integers, moved by the zero point and into [low, high], with the gradient of `steps`."""
    whole = torch.round(steps.detach()) + zero
    passing = torch.where((whole >= low - 1) & (whole <= high + 1), steps, 0.0)
    return whole.clamp(low, high) + (passing - passing.detach())


def along(parameter: Tensor, x: Tensor, axis: int, block_size: int) -> Tensor:
    """A scale or zero point brought to the shape of x: one for all, one a slice of an axis, or one a block of it."""
    if parameter.dim() == 0 or (parameter.dim() == 1 and parameter.numel() == 1):
        return parameter.reshape(())
    if block_size:
        return parameter.repeat_interleave(block_size, dim=axis).narrow(axis, 0, x.shape[axis])
    shape = [1] * x.dim()
    shape[axis] = -1
    return parameter.reshape(shape)


def quantize(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Tensor:
    """Values as multiples of the scale, saturated to the zero point's integer type."""
    dtype = zero.dtype if zero is not None else DTYPES[output_dtype or TensorProto.UINT8]
    limits = torch.iinfo(dtype)
    offset = 0.0 if zero is None else along(zero.to(x.dtype), x, axis, block_size)
    return saturated(x / along(scale, x, axis, block_size), offset, limits.min, limits.max)


def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None = None, *, axis: int = 1, block_size: int = 0) -> Tensor:
    """The values that quantized ones stand for."""
    values = x.to(scale.dtype)
    if zero is not None:
        values = values - along(zero.to(scale.dtype), x, axis, block_size)
    return values * along(scale, x, axis, block_size)


def quantize_dynamically(x: Tensor) -> tuple[Tensor, ...]:
    """Values as eight bits over their own range, zero included; then the scale and the zero point."""
    low, high = (edge.detach() for edge in (x.amin().clamp(max=0), x.amax().clamp(min=0)))
    scale = (high - low) / 255
    zero = torch.round(torch.clamp(-low / scale, 0, 255))
    return saturated(x / scale, zero, 0, 255), scale, zero.to(torch.uint8)


def centered(x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Quantized values less their zero point, as floating numbers."""
    wide = x if x.is_floating_point() else x.float()
    return wide if zero is None else wide - along(zero.to(wide.dtype), wide, axis, 0)


def matmul_integer(a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
    """The product of quantized matrices, as floating numbers that hold integers."""
    return torch.matmul(centered(a, a_zero, -2), centered(b, b_zero, -1))


def conv_integer(
    x: Tensor,
    weight: Tensor,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The convolution of quantized tensors, as floating numbers that hold integers."""
    return conv(
        centered(x, x_zero, 1),
        centered(weight, weight_zero, 0),
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
    )


TABLE = {
    "ConvInteger": Operator(conv_integer, allowed={"auto_pad": AUTO_PADS}),
    "DequantizeLinear": Operator(dequantize, ignored=("output_dtype",)),
    "DynamicQuantizeLinear": Operator(quantize_dynamically, outputs=3),
    "MatMulInteger": Operator(matmul_integer),
    "QuantizeLinear": Operator(quantize, allowed={"output_dtype": (0, *QUANTIZED)}, ignored=("saturate",)),
}
