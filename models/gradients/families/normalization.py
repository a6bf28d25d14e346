"""Normalizations with learned scales, and softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator


def batch_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float = 1e-5
) -> Tensor:
    """Batch normalization (Ioffe and Szegedy 2015) by the stored mean and variance."""
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon)


def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """Every channel of every row by its own mean and variance (Ulyanov et al. 2016)."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, outputs: int
) -> Tensor | tuple[Tensor, ...]:
    """Layer normalization (Ba et al. 2016) from `axis` on; then the mean and the inverse deviation."""
    shape = x.shape[axis:]
    if scale.shape == shape and (bias is None or bias.shape == shape):
        y = functional.layer_norm(x, shape, scale, bias, epsilon)
    else:  # scale and bias may need broadcasting
        y = functional.layer_norm(x, shape, None, None, epsilon) * scale
        y = y if bias is None else y + bias
    if outputs == 1:
        return y
    axes = tuple(range(axis % x.dim(), x.dim()))
    variance, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    return y, mean, torch.rsqrt(variance + epsilon)


def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, opset: int
) -> Tensor:
    """Group normalization (Wu and He 2018). Scale and bias are a group's before opset 21, a channel's from it on."""
    if opset < 21:
        scale, bias = (v.repeat_interleave(x.shape[1] // num_groups) for v in (scale, bias))
    return functional.group_norm(x, num_groups, scale, bias, epsilon)


def rms_normalization(x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5) -> Tensor:
    """Values over their root mean square from `axis` on (Zhang and Sennrich 2019)."""
    return functional.rms_norm(x, x.shape[axis:], None, epsilon) * scale


def local_response_normalization(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """Values by those of the channels around them (Krizhevsky et al. 2012)."""
    squares = torch.square(x).flatten(2).transpose(1, 2)
    wide = functional.pad(squares, ((size - 1) // 2, size // 2))
    sums = wide.unfold(2, size, 1).sum(3).transpose(1, 2).reshape(x.shape)
    return x / (bias + alpha / size * sums) ** beta


def norm_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Values over their p-norm along an axis; zero where that is zero."""
    norm = torch.linalg.vector_norm(x, ord=p, dim=axis, keepdim=True)
    return torch.where(norm > 0, x / torch.where(norm > 0, norm, 1.0), 0.0)


def mean_variance_normalization(x: Tensor, *, axes: Sequence[int] = (0, 2, 3)) -> Tensor:
    """Values less their mean, over their standard deviation, along axes."""
    variance, mean = torch.var_mean(x, dim=tuple(axes), correction=0, keepdim=True)
    return (x - mean) / (torch.sqrt(variance) + 1e-9)


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """Softmax along an axis."""
    return torch.softmax(x, axis)


def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """The logarithm of softmax along an axis."""
    return torch.log_softmax(x, axis)


def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """One at the first largest value along an axis, else zero."""
    first = x.argmax(dim=axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, first, 1.0)


TABLE = {
    "BatchNormalization": Operator(batch_normalization, allowed={"training_mode": (0,)}, ignored=("momentum",)),
    "GroupNormalization": Operator(group_normalization, ignored=("stash_type",)),
    "Hardmax": Operator(hardmax),
    "InstanceNormalization": Operator(instance_normalization),
    "LRN": Operator(local_response_normalization),
    "LayerNormalization": Operator(layer_normalization, ignored=("stash_type",), outputs=3),
    "LogSoftmax": Operator(log_softmax),
    "LpNormalization": Operator(norm_normalization),
    "MeanVarianceNormalization": Operator(mean_variance_normalization),
    "RMSNormalization": Operator(rms_normalization, ignored=("stash_type",)),
    "Softmax": Operator(softmax),
}
