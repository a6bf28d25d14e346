"""Fewer values a pixel: rounds the input to 2**bits levels between its bounds.

Xu, Evans, Qi: Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (NDSS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec, bounds_of
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class BitDepth:
    """Rounds to the nearest of `levels + 1` values. NaN stays NaN."""

    name: str
    low: Any  # numpy scalars of the type that the arithmetic runs in
    high: Any
    scale: Any
    step: Any
    dtype: np.dtype[Any]

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        u = np.subtract(x, self.low, dtype=self.low.dtype)
        u *= self.scale
        np.rint(u, out=u)
        u *= self.step
        u += self.low
        np.minimum(u, self.high, out=u)  # the last step may round past the bound
        np.maximum(u, self.low, out=u)
        if self.dtype.kind in "iu":
            np.rint(u, out=u)
        return u.astype(self.dtype, copy=False)


class BitDepthSpec(PurifierSpec):
    """`bits` is the color depth that is left: 1 makes a black and white picture."""

    kind: Literal["bit_depth"] = "bit_depth"
    bits: Annotated[int, Field(ge=1, le=16)] = 4

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for token ids and for an input without bounds."""
        self.refuse_unsuitable(spec)
        low, high = bounds_of(spec, self.kind)
        levels = 2**self.bits - 1
        small = spec.dtype.itemsize <= 2 or spec.dtype == np.float32
        real = np.float32 if small else np.float64
        return BitDepth(
            f"bit_depth-{self.bits}",
            real(low),
            real(high),
            real(levels / (high - low)),
            real((high - low) / levels),
            spec.dtype,
        )
