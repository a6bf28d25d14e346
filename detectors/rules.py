"""The rules that a contract is made of, checked value by value and explained in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors import lattice
from models.batch import Array, Arrays, InputSpec

_NEVER_MISSING = 1.0  # excess of a NaN where the reference has none: as if a whole range outside


@dataclass(frozen=True, slots=True)
class Rules:
    """Arrays are (values,), in the type that the check runs in.

    `low`, `high` are the learned range with its margin, `unit` what an excess is measured in. `origin` and `per_step`
    (0: no grid there) are None if there is no grid at all. `complete` says where the reference has no NaN.
    `sets` are (m,) columns and their (m, k) only values.
    """

    spec: InputSpec
    low: Array
    high: Array
    unit: Array
    bound_low: float
    bound_high: float
    complete: Array
    origin: Array | None = None
    per_step: Array | None = None
    tolerance: Array | None = None
    sets: tuple[Array, Array] | None = None

    def check(self, x: Array) -> tuple[Array, Array]:
        """Excess over the range, and whether a rule is broken that no honest row breaks; both (n, values)."""
        with np.errstate(all="ignore"):
            missing = np.isnan(x)
            excess = np.fmax(np.fmax(self.low - x, x - self.high) / self.unit, 0.0)
            broken = self.unreal(x) | self.off_grid(x) | self.off_set(x)
        if self.spec.missing:
            excess[missing & self.complete] = _NEVER_MISSING
        return excess, broken

    def unreal(self, x: Array) -> Array:
        """Infinite, NaN where that is no value, or outside the stated bounds."""
        wrong = np.isinf(x) | (x < self.bound_low) | (x > self.bound_high)
        return np.asarray(wrong if self.spec.missing else wrong | np.isnan(x))

    def off_grid(self, x: Array) -> Array:
        """Between two points of the value lattice."""
        if self.origin is None or self.per_step is None or self.tolerance is None:
            return np.zeros(x.shape, dtype=bool)
        t = (x - self.origin) * self.per_step
        return np.asarray(np.abs(t - np.rint(t)) > self.tolerance)

    def off_set(self, x: Array) -> Array:
        """None of the few values that the column takes."""
        off = np.zeros(x.shape, dtype=bool)
        if self.sets is not None:
            columns, values = self.sets
            gap = np.abs(x[:, columns, None] - values).min(axis=2)
            off[:, columns] = gap > lattice.TOLERANCE * np.ptp(values, axis=1)
        return off

    def explain(self, x: Array) -> str:
        """Which rule the row (1, values) breaks worst; '' if none."""
        excess, broken = self.check(x)
        if broken.any():
            at = int(broken[0].argmax())
            return f"{self._name(at)} = {x[0, at]:.6g} {self._why(x, at)}{_others(broken)}"
        at = int(excess[0].argmax())
        if excess[0, at] <= 0.0:
            return ""
        if np.isnan(x[0, at]):
            return f"{self._name(at)} is missing, which it never is in the reference{_others(excess > 0.0)}"
        low, high = self.low[at], self.high[at]
        outside = f"{excess[0, at]:.3g} ranges outside [{low:.6g}, {high:.6g}]"
        return f"{self._name(at)} = {x[0, at]:.6g} is {outside}{_others(excess > 0.0)}"

    def _why(self, x: Array, at: int) -> str:
        if not np.isfinite(x[0, at]):
            return "is not finite"
        if self.spec.bounds is not None and self.unreal(x)[0, at]:
            return f"is outside the stated bounds [{self.spec.bounds.low:.6g}, {self.spec.bounds.high:.6g}]"
        if self.origin is not None and self.per_step is not None and self.off_grid(x)[0, at]:
            return f"is off the lattice {self.origin[at]:.6g} + k * {1.0 / self.per_step[at]:.6g}"
        return "is none of the values that the reference has there"

    def _name(self, at: int) -> str:
        if len(self.spec.columns) == self.spec.size:
            return f"column {self.spec.columns[at]!r}"
        place = ", ".join(str(int(i)) for i in np.unravel_index(at, self.spec.shape))
        return f"value [{place}]"

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> Rules:
        """The rules that `rule_learning` found, for the arithmetic of this input's type."""
        real = working_dtype(spec)
        step, columns = arrays["step"], arrays["set_columns"]
        grid = bool((step > 0.0).any())
        bounds = spec.bounds or (-np.inf, np.inf)
        slack = 0.0 if spec.bounds is None else 4.0 * float(np.finfo(real).eps) * max(map(abs, bounds))
        per_step = np.divide(1.0, step, out=np.zeros_like(step), where=step > 0.0)
        return Rules(
            spec,
            arrays["low"].astype(real),
            arrays["high"].astype(real),
            arrays["unit"].astype(real),
            bounds[0] - slack,
            bounds[1] + slack,
            arrays["complete"],
            arrays["origin"].astype(real) if grid else None,
            per_step.astype(real) if grid else None,
            arrays["tolerance"].astype(real) if grid else None,
            (columns, arrays["set_values"].astype(real)) if len(columns) else None,
        )


def _others(bad: Array) -> str:
    """How many values beside the one that is told are bad too, in words."""
    count = int(bad.sum()) - 1
    return "" if count < 1 else f"; {count} other value{'s are' if count > 1 else ' is'} wrong too"


def working_dtype(spec: InputSpec) -> np.dtype[Any]:
    """float32 where that holds every value of the input's type, else float64."""
    return np.dtype(np.float32 if spec.dtype.itemsize <= 2 or spec.dtype == np.float32 else np.float64)


def cast(x: Array) -> Array:
    """The rows in the type that the check runs in."""
    if x.dtype == np.float32 or x.dtype == np.float64:
        return x
    return x.astype(np.float32 if x.dtype.itemsize <= 2 else np.float64)
