"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}

AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")

Ints = Sequence[int]


def halves(total: int, auto_pad: str) -> tuple[int, int]:
    """Padding in all as begin and end; the odd one goes where `auto_pad` says."""
    small, large = total // 2, total - total // 2
    return (large, small) if auto_pad == "SAME_LOWER" else (small, large)


def padding(
    sizes: Ints, kernel: Ints, strides: Ints, dilations: Ints, pads: Ints | None, auto_pad: str
) -> list[tuple[int, int]]:
    """Begin and end padding of every spatial axis."""
    rank = len(kernel)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return [
            halves(max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size), auto_pad)
            for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)
        ]
    pads = [0] * (2 * rank) if pads is None or auto_pad == "VALID" else pads
    return list(zip(pads[:rank], pads[rank:], strict=True))


def pad_constant(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Padding (cropping, where negative) of the last axes."""
    flat = [width for pair in reversed(pads) for width in pair]
    return functional.pad(x, flat, value=value) if any(flat) else x


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Convolution of x (n, channels, *space) with weight (filters, channels / group, *kernel)."""
    rank = weight.dim() - 2
    steps, holes = tuple(strides or [1] * rank), tuple(dilations or [1] * rank)
    widths = padding(x.shape[2:], kernel_shape or weight.shape[2:], steps, holes, pads, auto_pad)
    if all(begin == end for begin, end in widths):
        native = tuple(begin for begin, _ in widths)
        return CONV[rank](x, weight, bias, steps, native, holes, group)
    return CONV[rank](pad_constant(x, widths), weight, bias, steps, 0, holes, group)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    kernel_shape: Ints | None = None,
    output_padding: Ints | None = None,
    output_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Transposed convolution of x (n, channels, *space) with weight (channels, filters / group, *kernel)."""
    rank = weight.dim() - 2
    steps, holes = tuple(strides or [1] * rank), tuple(dilations or [1] * rank)
    extra = output_padding or [0] * rank
    full = TRANSPOSED[rank](x, weight, None, steps, 0, 0, group, holes)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER") and output_shape is None:
        output_shape = [size * step for size, step in zip(x.shape[2:], steps, strict=True)]
    if output_shape is None:
        widths = padding(x.shape[2:], kernel_shape or weight.shape[2:], steps, holes, pads, auto_pad)
    else:
        totals = [n + e - out for n, e, out in zip(full.shape[2:], extra, output_shape[-rank:], strict=True)]
        widths = [halves(total, "SAME_UPPER" if auto_pad == "SAME_UPPER" else "SAME_LOWER") for total in totals]
    crops = [(-begin, more - end) for (begin, end), more in zip(widths, extra, strict=True)]
    cropped = pad_constant(full, crops)
    return cropped if bias is None else cropped + bias.reshape(-1, *[1] * rank)


TABLE = {
    "Conv": Operator(conv, allowed={"auto_pad": AUTO_PADS}),
    "ConvTranspose": Operator(conv_transpose, allowed={"auto_pad": AUTO_PADS}),
}
