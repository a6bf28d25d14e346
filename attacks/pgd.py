"""PGD in Linf (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks")."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.losses import Loss, Model, cross_entropy, gradient
from models.batch import Bounds


def pgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    steps: int,
    bounds: Bounds,
    seed: int,
    step_size: float | Tensor | None = None,
    loss: Loss = cross_entropy,
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, found by `steps` signed gradient steps.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `epsilon` and `step_size` are in units of `x`, one for all
    rows or anything that broadcasts to them. The start is drawn uniformly from the ball with `seed`; the step defaults
    to 2.5 * epsilon / steps, with which the far side of the ball can be reached.
    """
    clean = x.detach()
    step = 2.5 * epsilon / steps if step_size is None else step_size
    rows = uniform_start(clean, epsilon, bounds, seed)
    for _ in range(steps):
        rows = rows + step * gradient(model, rows, y, loss).sign()
        rows = in_ball(rows, clean, epsilon, bounds)
    return rows


def uniform_start(clean: Tensor, epsilon: float | Tensor, bounds: Bounds, seed: int) -> Tensor:
    """Rows drawn uniformly from the ball around each clean one, inside the bounds."""
    random = torch.Generator(device="cpu").manual_seed(seed)
    noise = torch.rand(clean.shape, generator=random, dtype=clean.dtype).to(clean.device)
    return (clean + epsilon * (2.0 * noise - 1.0)).clamp(bounds.low, bounds.high)


def in_ball(rows: Tensor, clean: Tensor, epsilon: float | Tensor, bounds: Bounds) -> Tensor:
    """The rows moved into the ball of `epsilon` in Linf around the clean ones, and into the bounds."""
    moved = torch.minimum(torch.maximum(rows, clean - epsilon), clean + epsilon)
    return moved.clamp(bounds.low, bounds.high)
