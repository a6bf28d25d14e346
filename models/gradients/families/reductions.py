"""Reductions over axes, running sums and rankings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.gradients.operator import Operator

Axes = tuple[int, ...]
Reduction = Callable[[Tensor, Axes, bool], Tensor]


def reduction(reduce: Reduction) -> Operator:
    """An ONNX reduction: its axes come as an attribute or, in later opsets, as an input."""

    def run(
        x: Tensor,
        chosen: Sequence[int] | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        named = tuple(chosen or axes or ())
        if not named and noop_with_empty_axes:
            return x
        return reduce(x, named or tuple(range(x.dim())), bool(keepdims))

    return Operator(run, host=(1,))


def largest(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The largest value."""
    return x.amax(dim=axes, keepdim=keep)


def smallest(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The smallest value."""
    return x.amin(dim=axes, keepdim=keep)


def mean(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The mean; of integers, rounded toward zero."""
    if x.is_floating_point():
        return x.mean(dim=axes, keepdim=keep)
    return x.double().mean(dim=axes, keepdim=keep).to(x.dtype)


def total(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The sum."""
    return x.sum(dim=axes, keepdim=keep, dtype=x.dtype)


def product(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The product."""
    for axis in axes:
        x = x.prod(dim=axis, keepdim=True, dtype=x.dtype)
    return x if keep else x.squeeze(axes)


def sum_of_magnitudes(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The L1 norm."""
    return total(x.abs(), axes, keep)


def euclidean(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The L2 norm."""
    found: Tensor = torch.linalg.vector_norm(x, dim=axes, keepdim=keep)
    return found


def sum_of_squares(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The sum of squares."""
    return total(x * x, axes, keep)


def log_sum(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The logarithm of the sum."""
    return total(x, axes, keep).log()


def log_sum_exp(x: Tensor, axes: Axes, keep: bool) -> Tensor:
    """The logarithm of the sum of exponentials."""
    return torch.logsumexp(x, dim=axes, keepdim=keep)


def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Where along an axis the largest value is: the first of equals, or the last."""
    if not select_last_index:
        return x.argmax(dim=axis, keepdim=bool(keepdims))
    return x.shape[axis] - 1 - x.flip(axis).argmax(dim=axis, keepdim=bool(keepdims))


def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Where along an axis the smallest value is: the first of equals, or the last."""
    if not select_last_index:
        return x.argmin(dim=axis, keepdim=bool(keepdims))
    return x.shape[axis] - 1 - x.flip(axis).argmin(dim=axis, keepdim=bool(keepdims))


def running_sum(x: Tensor, axis: int | list[int], *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """The sum of all values up to each one along an axis, from the end with `reverse`."""
    (along,) = axis if isinstance(axis, list) else (axis,)
    values = x.flip(along) if reverse else x
    sums = values.cumsum(along, dtype=x.dtype)
    sums = sums - values if exclusive else sums
    return sums.flip(along) if reverse else sums


def top(x: Tensor, k: list[int], *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Tensor, ...]:
    """The k largest (or smallest) values along an axis and where they are."""
    return tuple(torch.topk(x, k[0], dim=axis, largest=bool(largest), sorted=bool(sorted)))


TABLE = {
    "ArgMax": Operator(arg_max),
    "ArgMin": Operator(arg_min),
    "CumSum": Operator(running_sum, host=(1,)),
    "ReduceL1": reduction(sum_of_magnitudes),
    "ReduceL2": reduction(euclidean),
    "ReduceLogSum": reduction(log_sum),
    "ReduceLogSumExp": reduction(log_sum_exp),
    "ReduceMax": reduction(largest),
    "ReduceMean": reduction(mean),
    "ReduceMin": reduction(smallest),
    "ReduceProd": reduction(product),
    "ReduceSum": reduction(total),
    "ReduceSumSquare": reduction(sum_of_squares),
    "TopK": Operator(top, host=(1,), outputs=2),
}
