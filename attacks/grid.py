"""Attacked rows as they could really be sent: on the input's own grid, and only those that still fool the model.

An attack between the grid's points is easy to notice, and one that rounding undoes is none; figures that forget either
make any detector look perfect.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.losses import Model
from models.batch import Bounds


def on_grid(x: Tensor, *, step: float | Tensor, bounds: Bounds) -> Tensor:
    """The rows with every value moved to the nearest of `bounds.low + k * step`.

    Real inputs often live on such a grid (pixels in 255ths).
    """
    steps = ((x - bounds.low) / step).round()
    return (bounds.low + steps * step).clamp(bounds.low, bounds.high)


def predicted(model: Model, x: Tensor) -> Tensor:
    """(n,) int64, the classes that the model answers."""
    with torch.no_grad():
        found: Tensor = model(x).argmax(dim=1)
    return found


def still_adversarial(model: Model, x: Tensor, y: Tensor) -> Tensor:
    """(n,) mask of the rows that the model takes for another class than `y`."""
    return predicted(model, x) != y
