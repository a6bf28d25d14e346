"""The rules that a contract is made of: learned from reference rows, checked value by value, explained in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from defenses.axes import channel_axis
from detectors import lattice
from detectors.base import Unsuitable
from models.batch import Array, Arrays, InputSpec

_SAMPLE = 200_000  # values that a grid is looked for in; it is then checked on all
_SEVERAL, _PILE = 10, 3.0  # rows that have the extreme value, and times as many as have the next one: an end
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
        """The rules that `learn` found, for the arithmetic of this input's type."""
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


def learn(x: Array, spec: InputSpec, margin: float | None, with_lattice: bool, seed: int) -> dict[str, Array]:
    """Rules from reference rows (n, values) as `cast` gives them. `margin` None: no range."""
    _refuse_broken(x, spec)
    arrays = _range(x, spec, margin) | {"complete": ~np.isnan(x).any(axis=0), "rows": np.array(len(x))}
    groups = _groups(spec)
    origin, step, tolerance = (np.full(spec.size, value) for value in (0.0, 0.0, np.inf))
    if with_lattice and spec.kind != "tokens" and len(x) >= lattice.FEW_ROWS:
        for group in groups:
            found = lattice.find(_sample(x, group, seed), spec.dtype)
            if found is not None and _holds(x, group, found, working_dtype(spec)):
                origin[group], step[group], tolerance[group] = found
    arrays |= {"origin": origin, "step": step, "tolerance": tolerance}
    return arrays | _sets(x, step, enabled=with_lattice and spec.kind == "table" and spec.dtype.kind == "f")


def _refuse_broken(x: Array, spec: InputSpec) -> None:
    finite = np.isfinite(x)
    strange = ~finite & ~np.isnan(x) if spec.missing else ~finite
    if strange.any():
        hint = "" if spec.missing else "; where NaN is a value, set `missing: allow` for the input"
        raise Unsuitable(f"{int(strange.any(axis=1).sum())} reference rows hold values that are not finite{hint}")
    if spec.bounds is None:
        return
    slack = 4.0 * float(np.finfo(x.dtype).eps) * max(map(abs, spec.bounds))
    outside = ((x < spec.bounds.low - slack) | (x > spec.bounds.high + slack)).any(axis=1)
    if outside.any():
        raise Unsuitable(
            f"{int(outside.sum())} of {len(x)} reference rows lie outside the stated bounds "
            f"[{spec.bounds.low:g}, {spec.bounds.high:g}]: values go from {np.nanmin(x):g} to {np.nanmax(x):g}"
        )


def _groups(spec: InputSpec) -> list[Array]:
    """Indices of values that share a grid: a column of a table, a channel of an image or a series."""
    indices = np.arange(spec.size)
    if spec.kind == "table":
        return list(indices[:, None])
    channel = channel_axis(spec)
    if channel is None:
        return [indices]
    return list(np.moveaxis(indices.reshape(1, *spec.shape), channel, 0).reshape(spec.shape[channel - 1], -1))


def _sample(x: Array, group: Array, seed: int) -> Array:
    most = max(_SAMPLE // len(group), lattice.FEW_ROWS)
    rows = np.random.default_rng(seed).choice(len(x), most, replace=False) if len(x) > most else slice(None)
    return np.asarray(x[rows][:, group]).ravel()


def _holds(x: Array, group: Array, found: lattice.Lattice, real: np.dtype[Any]) -> bool:
    """Whether every value is on the grid in the arithmetic that will check it, with half the tolerance to spare."""
    origin, per_step = real.type(found.origin), real.type(1.0 / found.step)
    for start in range(0, len(x), 4096):
        t = (x[start : start + 4096, group] - origin) * per_step
        t = t[np.isfinite(t)]
        if len(t) and np.abs(t - np.rint(t)).max() > 0.5 * found.tolerance:
            return False
    return True


def _range(x: Array, spec: InputSpec, margin: float | None) -> dict[str, Array]:
    """Per column or pixel; pooled over time in a series, over places for tokens. `unit` is the group's range, of which
    `margin` is a share: a pixel that the reference never uses is as free to be a little lighter as any other.

    A column of a table has no margin on a side where values pile up at the end: nothing is less than no amount.
    """
    known = np.isfinite(x)
    low = np.where(known, x, np.inf).min(axis=0).astype(np.float64)
    high = np.where(known, x, -np.inf).max(axis=0).astype(np.float64)
    ends = _piles(x) if spec.kind == "table" else np.zeros((2, spec.size), dtype=bool)
    unit, width = np.ones(spec.size), np.zeros(spec.size)
    bounds_width = 1.0 if spec.bounds is None else spec.bounds.high - spec.bounds.low
    for group in _groups(spec):
        least, most = low[group].min(), high[group].max()
        if spec.kind in ("series", "tokens"):
            low[group], high[group] = least, most
        unit[group] = most - least if most > least else bounds_width
        width[group] = max(most - least, 0.0)
    if margin is None:
        return {"low": np.full(spec.size, -np.inf), "high": np.full(spec.size, np.inf), "unit": unit}
    nothing_known = low > high
    low, high = (
        np.where(end, side, side + sign * margin * width)
        for end, side, sign in zip(ends, (low, high), (-1, 1), strict=True)
    )
    low[nothing_known], high[nothing_known] = -np.inf, np.inf
    return {"low": low, "high": high, "unit": unit}


def _piles(x: Array) -> Array:
    """(2, values) mask: whether rows pile up at the lowest, and at the highest value of a column."""
    piles: Array = np.zeros((2, x.shape[1]), dtype=bool)
    for column, values in enumerate(x.T):
        counts = np.unique(values[np.isfinite(values)], return_counts=True)[1]
        for side, ends in enumerate((counts[:2], counts[:-3:-1])):
            piles[side, column] = len(ends) == 2 and ends[0] >= max(_SEVERAL, _PILE * ends[1])
    return piles


def _sets(x: Array, step: Array, enabled: bool) -> dict[str, Array]:
    """Columns off any grid that still take only a few values, padded with the first to the longest set."""
    found = {}
    for column in np.flatnonzero(step == 0.0) if enabled else ():
        values = lattice.categories(x[:, column])
        if values is not None:
            found[int(column)] = values
    longest = max(map(len, found.values()), default=0)
    padded = [np.pad(values, (0, longest - len(values)), constant_values=values[0]) for values in found.values()]
    return {"set_columns": np.array(list(found), dtype=np.int64), "set_values": np.array(padded, dtype=np.float64)}
