"""What a twin is, and what several of them need."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.passes import Passes
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
    """As `numpy.interp`, in float64. Beyond the outermost knots its slope is `leak` of the steepest one near them.

    A leak keeps a direction where evidence is saturated; the value is not touched by it.
    """
    x = x.double()
    at = torch.searchsorted(knots, x.detach().contiguous()).clamp(1, len(knots) - 1)
    left, right = knots[at - 1], knots[at]
    share = ((x - left) / (right - left)).clamp(0.0, 1.0)
    found = values[at - 1] + share * (values[at] - values[at - 1])
    if leak:
        slopes = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
        above = slopes[-3:].max().clamp(min=0.0) * (x - knots[-1]).clamp(min=0.0)
        below = (-slopes[:3]).max().clamp(min=0.0) * (knots[0] - x).clamp(min=0.0)
        found = straight_through(found, found + leak * (above + below))
    return found
