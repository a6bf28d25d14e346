"""What attacks raise: one number a row, each from that row's logits alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Model = Callable[[Tensor], Tensor]  # rows (n, ...) to logits (n, classes), differentiable
Loss = Callable[[Tensor, Tensor], Tensor]  # logits (n, classes) and labels (n,) int64 to (n,)

_SMALLEST = 1e-12


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) minus the log-probability of label `y`."""
    return functional.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) the best other logit minus that of label `y`: positive where the row is misclassified."""
    own = logits.gather(1, y[:, None])[:, 0]
    return _others(logits, y).amax(dim=1) - own


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) the margin in units of the gap between the best and the third best logit, which no rescaling changes.

    Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks (ICML
    2020). With two classes there is no third: the plain margin.
    """
    if logits.shape[1] < 3:
        return margin(logits, y)
    best = logits.topk(3, dim=1).values
    return margin(logits, y) / (best[:, 0] - best[:, 2] + _SMALLEST)


def gradient(model: Model, x: Tensor, y: Tensor, loss: Loss = cross_entropy) -> Tensor:
    """The gradient of each row's loss with respect to that row, of the shape of `x`."""
    return value_and_gradient(model, x, y, loss)[2]


def value_and_gradient(model: Model, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (n, classes), loss (n,) and its gradient, of the shape of `x`.

    The sum over rows is differentiated, so that a row's gradient does not depend on how many others there are.
    """
    leaf = x.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        logits = model(leaf)
        values = loss(logits, y)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    return logits.detach(), values.detach(), slope


def _others(logits: Tensor, y: Tensor) -> Tensor:
    return logits.scatter(1, y[:, None], -torch.inf)
