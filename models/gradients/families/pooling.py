"""Pooling over windows and over all of space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.families.convolution import AUTO_PADS, CONV, pad_constant, padding
from models.gradients.operator import Operator

MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}

Ints = Sequence[int]
Widths = list[tuple[int, int]]


def window_padding(sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints, pads: Widths, ceil_mode: int) -> Widths:
    """The padding with which whole windows fit exactly; its end may be negative.

    Rounding up adds a window only where it starts inside the input or its begin padding.
    """
    widths = []
    for size, k, s, d, (begin, end) in zip(sizes, kernel, strides, dilations, pads, strict=True):
        span = (k - 1) * d + 1
        room = size + begin + end - span
        count = (-(-room // s) if ceil_mode else room // s) + 1
        count -= int(bool(ceil_mode) and (count - 1) * s >= size + begin)
        widths.append((begin, (count - 1) * s + span - size - begin))
    return widths


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """The largest value of every window; padding never wins."""
    rank = len(kernel_shape)
    steps, holes = tuple(strides or [1] * rank), tuple(dilations or [1] * rank)
    widths = padding(x.shape[2:], kernel_shape, steps, holes, pads, auto_pad)
    native = all(b == e and 2 * b <= k for (b, e), k in zip(widths, kernel_shape, strict=True))
    if native and not ceil_mode:
        return MAX[rank](x, tuple(kernel_shape), steps, tuple(b for b, _ in widths), holes)
    fitted = window_padding(x.shape[2:], kernel_shape, steps, holes, widths, ceil_mode)
    lowest = float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
    return MAX[rank](pad_constant(x, fitted, lowest), tuple(kernel_shape), steps, 0, holes)


def window_sum(x: Tensor, kernel: Ints, strides: Ints, dilations: Ints) -> Tensor:
    """The sum over every window, channel by channel."""
    ones = torch.ones(1, 1, *kernel, dtype=x.dtype, device=x.device)
    planes = x.reshape(-1, 1, *x.shape[2:])
    sums = CONV[len(kernel)](planes, ones, None, tuple(strides), 0, tuple(dilations))
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """The mean of every window, over the input alone or over its padding too."""
    rank = len(kernel_shape)
    steps, holes = tuple(strides or [1] * rank), tuple(dilations or [1] * rank)
    widths = padding(x.shape[2:], kernel_shape, steps, holes, pads, auto_pad)
    native = all(b == e and 2 * b <= k for (b, e), k in zip(widths, kernel_shape, strict=True))
    if native and not ceil_mode and max(holes) == 1:
        begins = tuple(b for b, _ in widths)
        return AVERAGE[rank](x, tuple(kernel_shape), steps, begins, False, bool(count_include_pad))
    fitted = window_padding(x.shape[2:], kernel_shape, steps, holes, widths, ceil_mode)
    counted = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype, device=x.device)
    counted = pad_constant(counted, widths, float(bool(count_include_pad)))
    rest = [(0, e - end) for (_, e), (_, end) in zip(fitted, widths, strict=True)]
    counts = window_sum(pad_constant(counted, rest), kernel_shape, steps, holes)
    return window_sum(pad_constant(x, fitted), kernel_shape, steps, holes) / counts


def global_average_pool(x: Tensor) -> Tensor:
    """The mean over space, its axes kept."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """The largest value over space, its axes kept."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def global_norm_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm over space, its axes kept."""
    found: Tensor = torch.linalg.vector_norm(x, ord=p, dim=tuple(range(2, x.dim())), keepdim=True)
    return found


TABLE = {
    "AveragePool": Operator(average_pool, allowed={"auto_pad": AUTO_PADS}),
    "GlobalAveragePool": Operator(global_average_pool),
    "GlobalLpPool": Operator(global_norm_pool),
    "GlobalMaxPool": Operator(global_max_pool),
    "MaxPool": Operator(max_pool, allowed={"auto_pad": AUTO_PADS}, ignored=("storage_order",)),
}
