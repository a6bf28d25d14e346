"""Values that always lie on a grid a + k b: integers, 1/255 steps, or either after standardising. Pure.

A grid is claimed only on strong support, because a row off it is refused for certain: enough rows, and either values
that come back again and again, or more values on the grid than chance could put there at the type's resolution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from models.batch import Array

FEW_ROWS = 200  # fewer rows support no claim: one honest row in so many may still be off it (rule of three: 1.5 %)
TOLERANCE = 0.01  # of a step: generous to how clients round and print, useless to an attacker
_LOOSEST = 0.1  # of a step: where the type's own rounding leaves less, no claim
_MOST_STEPS = 2e7  # a grid finer than this says nothing
_ROUNDINGS = 4.0  # that scaling, shifting and casting add up to, in units of the type's own
_REPEATED = 20  # rows a value: what comes back so often is no draw from a continuum
_BITS = 64.0  # of evidence against chance, beyond the choice of the grid itself
_DIVISORS = range(1, 13)  # the smallest gap between values seen may be a few steps wide
_HALVINGS = range(9)  # binary fractions down to 1/256 are exact in every float type


class Lattice(NamedTuple):
    """Values are origin + k * step, k an integer, up to `tolerance` steps."""

    origin: float
    step: float
    tolerance: float = TOLERANCE


def find(values: Array, dtype: np.dtype[Any]) -> Lattice | None:
    """The coarsest grid that all values (n,) lie on, if they support one. NaN is left out; `dtype` is the input's."""
    values = values[np.isfinite(values)].astype(np.float64)
    if len(values) < FEW_ROWS:
        return None
    distinct, count = np.unique(values, return_counts=True)
    if len(distinct) < 2 or len(values) - count.max() < _REPEATED // 2:
        return None
    whole = _whole(distinct)
    found = None if whole is None else _exact(*whole, dtype)
    if found is None and dtype.kind == "f":
        found = _rounded(distinct, count, _noise(distinct, dtype))
    return found if found is not None and _even(distinct, found) else None


def categories(values: Array, most: int = 32) -> Array | None:
    """The few values, ascending, that a column takes, each many times; None if it is no such column."""
    values = values[np.isfinite(values)].astype(np.float64)
    distinct, count = np.unique(values, return_counts=True)
    if len(values) < 2 * FEW_ROWS or not 2 <= len(distinct) <= most or count.min() < _REPEATED:
        return None
    return distinct


def _noise(values: Array, dtype: np.dtype[Any]) -> float:
    """What roundings may have added to these values, of their type or of the smaller one that they once had."""
    eps = float(np.finfo(dtype).eps) if dtype.kind == "f" else float(np.finfo(np.float64).eps)
    if bool((values.astype(np.float32) == values).all()):
        eps = max(eps, float(np.finfo(np.float32).eps))
    return _ROUNDINGS * eps * float(np.abs(values).max())


def _even(distinct: Array, found: Lattice) -> bool:
    """Whether all sizes are equally fine. What is rounded to significant digits isn't: smaller values will be finer."""
    k = np.rint((distinct - found.origin) / found.step).astype(np.int64)
    halves = (k[: len(k) // 2], k[len(k) // 2 :])
    return all(len(half) <= _REPEATED or int(np.gcd.reduce(np.diff(half))) <= 1 for half in halves)


def _whole(distinct: Array) -> tuple[Array, float] | None:
    """Integers, and the binary fraction that they count, where the values are just that; else None."""
    for halvings in _HALVINGS:
        scaled = distinct * 2.0**halvings
        if np.abs(scaled).max() < 2.0**53 and (scaled == np.rint(scaled)).all():
            return scaled, 0.5**halvings
    return None


def _exact(whole: Array, unit: float, dtype: np.dtype[Any]) -> Lattice | None:
    """Whole multiples of `unit`; a common divisor counts only where chance can't explain it."""
    gaps = np.diff(whole).astype(np.int64)
    common = int(np.gcd.reduce(gaps))
    if len(gaps) * np.log2(common) < _BITS / 4:
        common = 1
    spacing = 1.0 if dtype.kind in "iu" else float(np.finfo(dtype).eps) * float(np.abs(whole).max()) * unit
    if spacing > 0.25 * common * unit:
        return None  # up there the type holds little else
    return Lattice(float(whole[0] % common) * unit, common * unit)


def _rounded(distinct: Array, count: Array, noise: float) -> Lattice | None:
    groups = np.concatenate([[0], np.cumsum(np.diff(distinct) > 2.0 * noise)])  # one value, rounded differently
    repeats = np.bincount(groups, weights=count)
    points = np.bincount(groups, weights=distinct) / np.bincount(groups)
    if len(points) < 2:
        return None
    gaps = np.diff(points)
    gap = float(gaps[gaps < 1.5 * gaps.min()].mean())
    for divisor in _DIVISORS:
        lattice = _refined(points, gap / divisor, noise)
        if lattice is not None:
            return lattice if repeats.min() >= _REPEATED or _evident(points, lattice, noise) else None
    return None


def _evident(points: Array, lattice: Lattice, noise: float) -> bool:
    """Whether chance can't have put so many points so near to some grid; two of them always are."""
    return bool((len(points) - 2) * np.log2(lattice.step / (4.0 * noise)) >= _BITS)


def _refined(points: Array, step: float, noise: float) -> Lattice | None:
    """The grid near this step, fitted on ever wider spans so that its error never adds up to a step."""
    if 4.0 * noise > _LOOSEST * step or np.ptp(points) > _MOST_STEPS * step:
        return None
    width = min(8, len(points) - 1)
    anchor = points[int(np.argmin(points[width:] - points[:-width]))]  # where values are dense, steps are sure
    offsets = points - anchor
    offsets = offsets[np.argsort(np.abs(offsets))]
    farthest, span, middle = abs(offsets[-1]), 4.0 * step, 0.0
    while True:
        near = offsets[: int(np.searchsorted(np.abs(offsets), span, side="right"))]
        k = np.rint((near - middle) / step)
        if np.abs(near - middle - k * step).max() > 0.25 * step:
            return None
        if np.ptp(k) > 0:
            step = float(np.cov(k, near, bias=True)[0, 1] / k.var())
            middle = float(near.mean() - step * k.mean())
        if span >= farthest:
            return _plainest(points, anchor + middle, step, noise)
        span *= 2.0


def _plainest(points: Array, origin: float, step: float, noise: float) -> Lattice | None:
    """The grid in the plainest terms that fit: through 0, a whole fraction as its step; None if none fits."""
    tolerance = max(TOLERANCE, 4.0 * noise / step)
    inverse = float(np.rint(1.0 / step))
    plain = 1.0 / inverse if inverse else step
    for a, b in ((0.0, plain), (0.0, step), (origin % plain, plain), (origin, step)):
        k = np.rint((points - a) / b)
        if np.abs(points - a - k * b).max() <= 2.0 * noise:
            return Lattice(a, b, tolerance)
    return None
