"""FGSM: one signed gradient step (Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples")."""

from __future__ import annotations

from torch import Tensor

from attacks.losses import Loss, Model, cross_entropy, gradient
from models.batch import Bounds


def fgsm(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    bounds: Bounds,
    seed: int = 0,
    loss: Loss = cross_entropy,
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, that raise the loss of labels `y`.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `epsilon` is in units of `x`, one for all rows or anything
    that broadcasts to them. Nothing is drawn: `seed` changes nothing.
    """
    step = epsilon * gradient(model, x, y, loss).sign()
    return (x.detach() + step).clamp(bounds.low, bounds.high)
