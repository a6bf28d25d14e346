"""Square patches at random places, each kept if it helps: needs answers, no gradients.

Andriushchenko, Croce, Flammarion, Hein: Square Attack, a query-efficient black-box adversarial attack via random search
(ECCV 2020), in Linf: stripes to begin with, then squares that shrink as their schedule has it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attacks.losses import Model, margin
from models.batch import Bounds

_FIRST = 0.3  # of the pixels in the first squares
_SHRINKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # shares of all steps after which they halve


def patches(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    epsilon: float | Tensor,
    bounds: Bounds,
    seed: int,
    axes: tuple[int, ...],
    steps: int = 100,
) -> Tensor:
    """Rows at most `epsilon` away from `x` in Linf, inside `bounds`, of the highest margin that was met.

    `x` is (n, ...) floating, `y` (n,) int64 class labels; `axes` are those of space or time, one or two of them.
    A row that is won is left alone.
    """
    random = np.random.default_rng(seed)
    clean = x.detach()
    best = (clean + epsilon * _stripes(clean, axes, random)).clamp(bounds.low, bounds.high)
    with torch.no_grad():
        gap = margin(model(best), y)
        for step in range(steps):
            mask, sign = _squares(clean, axes, random, _share(step / steps))
            tried = torch.where(mask, (clean + epsilon * sign).clamp(bounds.low, bounds.high), best)
            found = margin(model(tried), y)
            better = (found > gap) & (gap <= 0.0)
            best = torch.where(better.reshape(-1, *[1] * (best.ndim - 1)), tried, best)
            gap = torch.where(better, found, gap)
    return best


def _share(done: float) -> float:
    return float(_FIRST * 0.5 ** sum(done > shrink for shrink in _SHRINKS))


def _stripes(x: Tensor, axes: tuple[int, ...], random: np.random.Generator) -> Tensor:
    """A sign for each line along the first of the axes, and each channel."""
    shape = [1 if axis == axes[0] and len(axes) > 1 else size for axis, size in enumerate(x.shape)]
    return torch.tensor(random.choice(np.array([-1.0, 1.0]), shape), dtype=x.dtype)


def _squares(x: Tensor, axes: tuple[int, ...], random: np.random.Generator, share: float) -> tuple[Tensor, Tensor]:
    """Each row's square, as a mask that broadcasts to the rows, and a sign for each channel of it."""
    n, inside = len(x), np.ones((len(x), *[1] * (x.ndim - 1)), dtype=bool)
    for axis in axes:
        size = x.shape[axis]
        side = max(round(size * share ** (1.0 / len(axes))), 1)
        start = random.integers(0, size - side + 1, n)
        places = np.arange(size)
        along = (places >= start[:, None]) & (places < start[:, None] + side)
        inside = inside & along.reshape(n, *[size if a == axis else 1 for a in range(1, x.ndim)])
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    sign = random.choice(np.array([-1.0, 1.0]), shape)
    return torch.tensor(inside), torch.tensor(sign, dtype=x.dtype)
