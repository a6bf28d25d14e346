"""FGSM: one signed gradient step (Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples")."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from models.batch import Bounds

Model = Callable[[Tensor], Tensor]  # rows (n, ...) to logits (n, classes), differentiable


def loss_gradient(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the cross-entropy of labels `y` with respect to each row of `x`, of the shape of `x`.

    The sum over rows is differentiated, so that a row's gradient does not depend on how many others there are.
    """
    leaf = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        loss = functional.cross_entropy(model(leaf), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def fgsm(model: Model, x: Tensor, y: Tensor, *, epsilon: float, bounds: Bounds) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, that raise the loss of labels `y`.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `epsilon` is in units of `x`.
    """
    step = epsilon * loss_gradient(model, x, y).sign()
    return (x.detach() + step).clamp(bounds.low, bounds.high)
