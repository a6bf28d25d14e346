"""One symmetric kernel along every axis of space or time: what linear smoothers share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from defenses.values import Values
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Correlates with `kernel` (of odd length) along `axes`; edges are mirrored, the outermost value included."""

    name: str
    kernel: Array
    axes: tuple[int, ...]
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        if not len(x):
            return x.copy()
        u = self.values.enter(x)
        for axis in self.axes:
            u = np.asarray(correlate1d(u, self.kernel, axis=axis, mode="reflect"))
        return self.values.leave(u, x)
