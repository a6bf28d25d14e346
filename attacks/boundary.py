"""Rows just over the decision boundary: the nearest on the way back from a row that was won.

A walk over the boundary and back is what DeepFool (Moosavi-Dezfooli, Fawzi, Frossard, CVPR 2016) does with gradients
and HopSkipJump (Chen, Jordan, Wainwright, S&P 2020) with estimates of them, from answers alone. Here a step goes along
the gradient of the margin with noise of a size that each row draws for itself: none as the first, much as the second.
The way back is halved again and again, as HopSkipJump does; what is found is still won as it can be sent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.grid import still_adversarial
from attacks.losses import Model, margin, value_and_gradient
from models.batch import Bounds

_HALVINGS = 10
_MOST_NOISE = 2.0  # times the length of the gradient
_OVERSHOOT = 0.1  # of a step: over the boundary, not onto it
_LONGEST = 0.05  # of a step in L2, a value: where the slope is next to nothing, one step must not cross the bounds


def boundary(model: Model, x: Tensor, y: Tensor, *, bounds: Bounds, seed: int, steps: int = 10) -> Tensor:
    """Rows that the model misclassifies, barely; a row that was never won comes back as it was.

    `x` is (n, ...) floating, `y` (n,) int64 class labels. `seed` draws the noise; half of the rows have none.
    """
    clean = x.detach()
    random = torch.Generator(device="cpu").manual_seed(seed)
    drawn = torch.rand(len(clean), generator=random, dtype=clean.dtype)
    noise = _wide((2.0 * drawn - 1.0).clamp(min=0.0) * _MOST_NOISE, clean)
    rows, last = clean.clone(), clean.clone()
    won = torch.zeros(len(clean), dtype=torch.bool)
    longest = _LONGEST * (bounds.high - bounds.low) * clean[0].numel() ** 0.5
    for _ in range(steps):
        _, gap, slope = value_and_gradient(model, rows, y, margin)
        over = gap > 0.0
        last = torch.where(_wide(over & ~won, rows), rows, last)
        won |= over
        length = _wide(slope.flatten(1).norm(dim=1).clamp(min=1e-12), slope)
        way = slope / length + noise * _unit(torch.randn(clean.shape, generator=random, dtype=clean.dtype))
        size = (_wide((-gap).clamp(min=0.0), slope) / length + 1e-3) * (1.0 + _OVERSHOOT)
        ahead = (rows + size.clamp(max=longest) * way).clamp(bounds.low, bounds.high)
        rows = torch.where(_wide(won, rows), rows, ahead)
    over = still_adversarial(model, rows, y) & ~won
    return back(model, torch.where(_wide(over, rows), rows, last), clean, y)


def back(model: Model, won: Tensor, clean: Tensor, y: Tensor) -> Tensor:
    """The nearest to `clean` on the straight line from each row of `won`, by bisection; a row not won stays itself."""
    near, far = torch.zeros(len(clean), dtype=clean.dtype), torch.ones(len(clean), dtype=clean.dtype)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2.0
        over = still_adversarial(model, clean + _wide(middle, clean) * (won - clean), y)
        near, far = torch.where(over, near, middle), torch.where(over, middle, far)
    return clean + _wide(far, clean) * (won - clean)


def _unit(noise: Tensor) -> Tensor:
    return noise / _wide(noise.flatten(1).norm(dim=1).clamp(min=1e-12), noise)


def _wide(values: Tensor, rows: Tensor) -> Tensor:
    """(n,) as (n, 1, ...), to go with rows."""
    return values.reshape(-1, *[1] * (rows.ndim - 1))
