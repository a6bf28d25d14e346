"""What a twin is, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.passes import Passes
from detectors.rarity import OUTER
from models.batch import Array

Twin = Callable[[Passes], Tensor]  # rows and their passes to scores (n,), differentiable


class NoTwin(ValueError):
    """A detector whose evidence has no gradient here; the text names it."""


def constant(array: Array) -> Tensor:
    """A learned array, in float32 if it holds floats."""
    tensor = torch.tensor(array)
    return tensor.float() if tensor.is_floating_point() else tensor


def straight_through(exact: Tensor, smooth: Tensor) -> Tensor:
    """The value of the first, the gradient of the second (Bengio, Leonard, Courville 2013)."""
    return smooth + (exact - smooth).detach()


def interpolated(x: Tensor, knots: Tensor, values: Tensor, leak: float = 0.0) -> Tensor:
    """As `numpy.interp`, in float64. Beyond the steepest of the `OUTER` outermost knots at either end its slope is
    `leak` of that one at least.

    A leak keeps a direction where evidence is saturated, or nearly; the value is not touched by it.
    """
    x = x.double()
    at = torch.searchsorted(knots, x.detach().contiguous()).clamp(1, len(knots) - 1)
    left, right = knots[at - 1], knots[at]
    share = ((x - left) / (right - left)).clamp(0.0, 1.0)
    found = values[at - 1] + share * (values[at] - values[at - 1])
    if leak:
        slopes = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
        up, down = slopes[-OUTER:], -slopes[:OUTER]
        above = up.max().clamp(min=0.0) * (x - knots[1:][-OUTER:][up.argmax()]).clamp(min=0.0)
        below = down.max().clamp(min=0.0) * (knots[down.argmax()] - x).clamp(min=0.0)
        found = straight_through(found, found + leak * (above + below))
    return found
