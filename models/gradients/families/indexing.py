"""Values picked and put by index, and tensors made of numbers alone."""

from __future__ import annotations

import torch
from onnx import TensorProto
from torch import Tensor

from models.gradients.dtypes import DTYPES, to_torch
from models.gradients.operator import Operator


def wrapped(indices: Tensor, size: int) -> Tensor:
    """Indices as int64, negative ones counted from the end."""
    wide = indices.long()
    return torch.where(wide < 0, wide + size, wide)


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """The slices at these indices along an axis, in the indices' shape."""
    along = axis % x.dim()
    found = x.index_select(along, wrapped(indices, x.shape[along]).reshape(-1))
    return found.reshape((*x.shape[:along], *indices.shape, *x.shape[along + 1 :]))


def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """One value for every index, along an axis."""
    return torch.gather(x, axis, wrapped(indices, x.shape[axis]))


def gather_slices(x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """The slices at these coordinates, which lie along the indices' last axis."""
    if batch_dims == 0:
        return x[indices.long().unbind(-1)]
    shared = x.shape[:batch_dims]
    rows = [
        part[places.long().unbind(-1)]
        for part, places in zip(
            x.reshape(-1, *x.shape[batch_dims:]), indices.reshape(-1, *indices.shape[batch_dims:]), strict=True
        )
    ]
    return torch.stack(rows).reshape(*shared, *rows[0].shape)


def scatter_elements(x: Tensor, indices: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none") -> Tensor:
    """A copy with one value put, or added, at every index along an axis."""
    places = wrapped(indices, x.shape[axis])
    return x.scatter_add(axis, places, updates) if reduction == "add" else x.scatter(axis, places, updates)


def scatter_slices(x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """A copy with slices put, or added, at coordinates, which lie along the indices' last axis."""
    return x.index_put(indices.long().unbind(-1), updates, accumulate=reduction == "add")


def one_hot(indices: Tensor, depth: int | list[int], values: Tensor, *, axis: int = -1) -> Tensor:
    """values[1] at every index along a new axis of this depth, else values[0]."""
    size = depth[0] if isinstance(depth, list) else depth
    places = wrapped(indices, size).unsqueeze(axis)
    shape = [1] * places.dim()
    shape[axis] = size
    return torch.where(places == torch.arange(size, device=places.device).reshape(shape), values[1], values[0])


def nonzero(x: Tensor) -> Tensor:
    """The coordinates of values that are not zero, one a column."""
    return torch.nonzero(x).t()


def shape_of(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """The sizes of axes `start` to `end`."""
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def size_of(x: Tensor) -> Tensor:
    """How many values there are."""
    return torch.tensor(x.numel(), dtype=torch.int64)


def constant(
    *,
    value: TensorProto | None = None,
    value_float: float | None = None,
    value_floats: list[float] | None = None,
    value_int: int | None = None,
    value_ints: list[int] | None = None,
) -> Tensor:
    """The tensor that the attribute holds."""
    if value is not None:
        return to_torch(value)
    if value_int is not None or value_ints is not None:
        return torch.tensor(value_int if value_ints is None else value_ints, dtype=torch.int64)
    return torch.tensor(value_float if value_floats is None else value_floats, dtype=torch.float32)


def constant_of_shape(shape: list[int], *, value: TensorProto | None = None) -> Tensor:
    """A tensor of one value, float zero unless given."""
    return torch.zeros(shape) if value is None else to_torch(value).reshape(()).expand(shape)


def between(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Numbers from `start` to below `limit` in steps of `delta`."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype, device=start.device)


def identity_like(x: Tensor, *, dtype: int | None = None, k: int = 0) -> Tensor:
    """Ones on a diagonal, zeros elsewhere."""
    ones = torch.ones_like(x, dtype=x.dtype if dtype is None else DTYPES[dtype])
    return ones.tril(k).triu(k)


TABLE = {
    "Constant": Operator(constant),
    "ConstantOfShape": Operator(constant_of_shape, host=(0,)),
    "EyeLike": Operator(identity_like, allowed={"dtype": tuple(DTYPES)}),
    "Gather": Operator(gather),
    "GatherElements": Operator(gather_elements),
    "GatherND": Operator(gather_slices),
    "NonZero": Operator(nonzero),
    "OneHot": Operator(one_hot, host=(1,)),
    "Range": Operator(between),
    "ScatterElements": Operator(scatter_elements, allowed={"reduction": ("none", "add")}),
    "ScatterND": Operator(scatter_slices, allowed={"reduction": ("none", "add")}),
    "Shape": Operator(shape_of, on_host=True),
    "Size": Operator(size_of, on_host=True),
}
