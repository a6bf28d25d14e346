"""PGD in Linf (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks")."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.fgsm import Model, loss_gradient
from models.batch import Bounds


def pgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float,
    steps: int,
    bounds: Bounds,
    seed: int,
    step_size: float | None = None,
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, found by `steps` signed gradient steps.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `epsilon` and `step_size` are in units of `x`. The start is
    drawn uniformly from the ball with `seed`; the step defaults to 2.5 * epsilon / steps, with which the far side of
    the ball can be reached.
    """
    clean = x.detach()
    step = 2.5 * epsilon / steps if step_size is None else step_size
    random = torch.Generator(device="cpu").manual_seed(seed)
    noise = torch.rand(clean.shape, generator=random, dtype=clean.dtype).to(clean.device)
    rows = (clean + epsilon * (2.0 * noise - 1.0)).clamp(bounds.low, bounds.high)
    for _ in range(steps):
        rows = rows + step * loss_gradient(model, rows, y).sign()
        rows = clean + (rows - clean).clamp(-epsilon, epsilon)
        rows = rows.clamp(bounds.low, bounds.high)
    return rows


def on_grid(x: Tensor, *, step: float, bounds: Bounds) -> Tensor:
    """The rows with every value moved to the nearest of `bounds.low + k * step`.

    Real inputs often live on such a grid (pixels in 255ths); an attack that leaves it is easy to notice.
    """
    steps = ((x - bounds.low) / step).round()
    return (bounds.low + steps * step).clamp(bounds.low, bounds.high)
