"""Between an input's own type and the real numbers that a purifier calculates with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from defenses.axes import smooth_axes
from defenses.base import Unsuitable
from models.batch import NO_ARRAYS, Array, Arrays, Bounds, InputSpec


@dataclass(frozen=True, slots=True)
class Values:
    """Maps rows to real numbers in which `low` is 0 and `high` is 1, and back.

    Along `axis`, a missing value takes the one before it (the first known one, where none is before); on the way back
    it is missing again.
    """

    dtype: np.dtype[Any]
    real: np.dtype[Any]  # float32, or float64 where the type holds more
    low: float
    high: float
    bounds: Bounds | None
    missing: bool
    axis: int

    @staticmethod
    def plain(spec: InputSpec) -> Values:
        """The rows' own units: for methods that any scale suits."""
        return Values._of(spec, 0.0, 1.0)

    @staticmethod
    def scaled(spec: InputSpec, arrays: Arrays, method: str) -> Values:
        """In units of the input's bounds or, without bounds, of the range that `learned_range` found.

        Raises:
            Unsuitable: neither is there; `method` is who asks.
        """
        if spec.bounds is None and "range" not in arrays:
            raise Unsuitable(f"{method} needs to know the range of the input: state `input.bounds`, or fit it first")
        low, high = spec.bounds if spec.bounds is not None else map(float, arrays["range"])
        return Values._of(spec, low, high)

    @staticmethod
    def _of(spec: InputSpec, low: float, high: float) -> Values:
        small = spec.dtype.itemsize <= 2 or spec.dtype == np.float32
        real = np.dtype(np.float32 if small else np.float64)
        return Values(spec.dtype, real, low, high, spec.bounds, spec.missing, max(smooth_axes(spec), default=1))

    def enter(self, x: Array) -> Array:
        """(n, *row shape) real numbers, a copy."""
        u = x.astype(self.real)
        if (self.low, self.high) != (0.0, 1.0):
            u -= self.real.type(self.low)
            u *= self.real.type(1.0 / (self.high - self.low))
        return filled(u, self.axis) if self.missing else u

    def leave(self, u: Array, x: Array) -> Array:
        """The real numbers as rows again: of the type of `x`, inside the bounds, missing where `x` is."""
        if (self.low, self.high) != (0.0, 1.0):
            u = u * self.real.type(self.high - self.low)
            u += self.real.type(self.low)
        back = self.cast(u)
        if self.missing:
            back[np.isnan(x)] = np.nan
        return back

    def moved(self, x: Array, by: Array) -> Array:
        """The rows, moved by so much of the range."""
        return self.leave(self.enter(x) + by, x)

    def cast(self, values: Array) -> Array:
        """The input's type and bounds; integers are rounded."""
        if self.dtype.kind in "iu":
            limits = np.iinfo(self.dtype)
            low, high = self.bounds or (limits.min, limits.max)
            return np.clip(np.rint(values), low, high).astype(self.dtype)
        back = values.astype(self.dtype)
        if self.bounds is not None:
            np.clip(back, self.dtype.type(self.bounds.low), self.dtype.type(self.bounds.high), out=back)
        return back


def learned_range(x: Array, spec: InputSpec) -> Arrays:
    """The smallest and largest reference value where the input has no bounds."""
    if spec.bounds is not None:
        return NO_ARRAYS
    known = x[np.isfinite(x)]
    if not known.size:
        raise Unsuitable("the reference has no finite value")
    low, high = float(known.min()), float(known.max())
    return {"range": np.array([low, high if high > low else low + 1.0])}


def filled(x: Array, axis: int) -> Array:
    """NaN replaced along the axis by the last value before it, else by the first after it, else by 0."""
    lost = np.isnan(x)
    if not lost.any():
        return x
    lines = np.moveaxis(x, axis, -1)
    known = ~np.moveaxis(lost, axis, -1)
    place = np.where(known, np.arange(lines.shape[-1]), -1)
    before = np.maximum.accumulate(place, axis=-1)
    first = known.argmax(axis=-1)[..., None]
    found = np.take_along_axis(lines, np.where(before >= 0, before, first), axis=-1)
    return np.ascontiguousarray(np.moveaxis(np.where(np.isnan(found), x.dtype.type(0), found), -1, axis))
