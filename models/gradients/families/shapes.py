"""The same values in another arrangement: views, joins, cuts, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import ANY_NUMBER, Operator

Ints = Sequence[int]


def reshape(x: Tensor, shape: Ints, *, allowzero: int = 0) -> Tensor:
    """Another shape; -1 is what is left, 0 the input's own size unless `allowzero`."""
    return x.reshape([x.shape[i] if size == 0 and not allowzero else size for i, size in enumerate(shape)])


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """A matrix: the axes before `axis`, and the rest."""
    split = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:split]), math.prod(x.shape[split:]))


def transpose(x: Tensor, *, perm: Ints | None = None) -> Tensor:
    """The axes in another order, reversed if none is given."""
    return x.permute(tuple(perm or range(x.dim() - 1, -1, -1)))


def squeeze(x: Tensor, chosen: Ints | None = None, *, axes: Ints | None = None) -> Tensor:
    """Without axes of size one: those named, else all."""
    named = chosen if chosen is not None else axes
    return x.squeeze() if named is None else x.squeeze(tuple(named))


def unsqueeze(x: Tensor, chosen: Ints | None = None, *, axes: Ints | None = None) -> Tensor:
    """With axes of size one, counted in the result."""
    named = chosen if chosen is not None else axes or ()
    rank = x.dim() + len(named)
    for axis in sorted(axis % rank for axis in named):
        x = x.unsqueeze(axis)
    return x


def expand(x: Tensor, shape: Ints) -> Tensor:
    """Broadcast with a shape, both ways."""
    both = zip_longest(reversed(x.shape), reversed(shape), fillvalue=1)
    return x.expand([theirs if ours == 1 else ours for ours, theirs in both][::-1])


def concat(*tensors: Tensor, axis: int) -> Tensor:
    """Tensors one after the other along an axis."""
    return torch.cat(tensors, axis)


def split(
    x: Tensor, sizes: Ints | None = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int
) -> tuple[Tensor, ...]:
    """Parts of these sizes along an axis, or equal ones, of which the last may be smaller."""
    if sizes is None:
        size = -(-x.shape[axis] // (num_outputs or outputs))
        sizes = [min(size, x.shape[axis] - start) for start in range(0, x.shape[axis], size)]
    return torch.split_with_sizes(x, tuple(sizes), axis)


def cut(x: Tensor, starts: Ints, ends: Ints, axes: Ints | None = None, steps: Ints | None = None) -> Tensor:
    """A range of every axis named; a negative step runs backward."""
    for start, end, axis, step in zip(
        starts, ends, axes or range(len(starts)), steps or [1] * len(starts), strict=True
    ):
        if step > 0:
            x = x[(slice(None),) * (axis % x.dim()) + (slice(start, end, step),)]
        else:
            x = x.index_select(axis, torch.tensor(range(x.shape[axis])[start:end:step], device=x.device))
    return x


def tile(x: Tensor, repeats: Ints) -> Tensor:
    """The tensor repeated along its axes."""
    return x.repeat(tuple(repeats))


def source_of(size: int, begin: int, end: int, mode: str) -> list[int]:
    """Which value stands where, once an axis of this size is padded."""
    places = range(-begin, size + end)
    if mode == "edge":
        return [min(max(i, 0), size - 1) for i in places]
    if mode == "wrap":
        return [i % size for i in places]
    period = max(2 * (size - 1), 1)
    return [min(i % period, period - i % period) if size > 1 else 0 for i in places]


def pad(
    x: Tensor,
    pads: Ints,
    value: float | list[float] | None = None,
    axes: Ints | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    """Padding at the begin and the end of axes: a constant, a mirror image, the edge, the other side."""
    named = range(x.dim()) if axes is None else [axis % x.dim() for axis in axes]
    widths = dict(zip(named, zip(pads[: len(named)], pads[len(named) :], strict=True), strict=True))
    if mode == "constant":
        number = value[0] if isinstance(value, list) else value
        flat = [width for axis in range(x.dim() - 1, -1, -1) for width in widths.get(axis, (0, 0))]
        return functional.pad(x, flat, value=number or 0)
    for axis, (begin, end) in widths.items():
        if begin or end:
            x = x.index_select(axis, torch.tensor(source_of(x.shape[axis], begin, end, mode), device=x.device))
    return x


def triangle(x: Tensor, k: int | list[int] = 0, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle of the last two axes, zero elsewhere."""
    diagonal = k[0] if isinstance(k, list) else k or 0
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels moved into blocks of space."""
    n, channels, height, width = x.shape
    depth = channels // blocksize**2
    if mode == "CRD":
        blocks = x.reshape(n, depth, blocksize, blocksize, height, width).permute(0, 1, 4, 2, 5, 3)
    else:
        blocks = x.reshape(n, blocksize, blocksize, depth, height, width).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, depth, height * blocksize, width * blocksize)


def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    """Blocks of space moved into channels."""
    n, channels, height, width = x.shape
    blocks = x.reshape(n, channels, height // blocksize, blocksize, width // blocksize, blocksize)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, height // blocksize, width // blocksize)


def dropout(x: Tensor, ratio: Tensor | None = None, training: bool | None = None) -> Tensor:
    """The input itself: nothing is dropped at inference."""
    if training:
        raise ValueError("Dropout in training mode has no gradient to attack")
    return x


TABLE = {
    "Concat": Operator(concat),
    "DepthToSpace": Operator(depth_to_space),
    "Dropout": Operator(dropout, host=(2,), ignored=("ratio", "seed")),
    "Expand": Operator(expand, host=(1,)),
    "Flatten": Operator(flatten),
    "Pad": Operator(pad, host=(1, 2, 3), allowed={"mode": ("constant", "reflect", "edge", "wrap")}),
    "Reshape": Operator(reshape, host=(1,)),
    "Slice": Operator(cut, host=(1, 2, 3, 4)),
    "SpaceToDepth": Operator(space_to_depth),
    "Split": Operator(split, host=(1,), outputs=ANY_NUMBER),
    "Squeeze": Operator(squeeze, host=(1,)),
    "Tile": Operator(tile, host=(1,)),
    "Transpose": Operator(transpose),
    "Trilu": Operator(triangle, host=(1,)),
    "Unsqueeze": Operator(unsqueeze, host=(1,)),
}
