"""The rules that reference rows keep to."""

from __future__ import annotations

from typing import Any

import numpy as np

from defenses.axes import channel_axis
from detectors import lattice
from detectors.base import Unsuitable
from detectors.rules import working_dtype
from models.batch import Array, InputSpec

_SAMPLE = 200_000  # values that a grid is looked for in; it is then checked on all
_SEVERAL, _PILE = 10, 3.0  # rows that have the extreme value, and times as many as have the next one: an end


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
