"""Activation functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator


def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """CELU (Barron 2017)."""
    return functional.celu(x, alpha)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """ELU (Clevert et al. 2016)."""
    return functional.elu(x, alpha)


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU (Hendrycks and Gimpel 2016), exact or by tanh."""
    return functional.gelu(x, approximate=approximate)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """A line through (0, beta), cut to [0, 1]."""
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def hard_swish(x: Tensor) -> Tensor:
    """The input times its hard sigmoid of slope 1/6 (Howard et al. 2019)."""
    return functional.hardswish(x)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """ReLU with a slope left of zero."""
    return functional.leaky_relu(x, alpha)


def mish(x: Tensor) -> Tensor:
    """Mish (Misra 2019)."""
    return functional.mish(x)


def parametric_relu(x: Tensor, slope: Tensor) -> Tensor:
    """ReLU with a learned slope left of zero (He et al. 2015)."""
    if slope.numel() == 1 or slope.shape == (x.shape[1], *[1] * (x.dim() - 2)):
        return torch.prelu(x, slope.reshape(-1))
    return torch.where(x < 0, slope * x, x)


def selu(x: Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Tensor:
    """SELU (Klambauer et al. 2017)."""
    return gamma * functional.elu(x, alpha)


def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Zero within `lambd` of zero, moved toward zero by `bias` outside."""
    return torch.where(x > lambd, x - bias, torch.where(x < -lambd, x + bias, torch.zeros_like(x)))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return functional.softplus(x)


def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return functional.softsign(x)


def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """The input where it is above `alpha`, else zero."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


TABLE = {
    "Celu": Operator(celu),
    "Elu": Operator(elu),
    "Gelu": Operator(gelu),
    "HardSigmoid": Operator(hard_sigmoid),
    "HardSwish": Operator(hard_swish),
    "LeakyRelu": Operator(leaky_relu),
    "Mish": Operator(mish),
    "PRelu": Operator(parametric_relu),
    "Relu": Operator(torch.relu),
    "Selu": Operator(selu),
    "Shrink": Operator(shrink),
    "Softplus": Operator(softplus),
    "Softsign": Operator(softsign),
    "ThresholdedRelu": Operator(thresholded_relu),
}
