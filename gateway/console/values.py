"""A table row as a page shows it: each value beside what the reference holds, and what is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from gateway.console.calibration import Calibration
from models.batch import Array

VALUES_SHOWN = 400
_NAMED = 5  # columns that the sentence names
_WIDTH = 120.0
Off = Literal["", "rare", "outside", "missing"]


@dataclass(frozen=True, slots=True)
class ValueView:
    """One value. `low`, `high` is the reference's range; `usual` the two values between which 98 % of it lie, and the
    median between them; `strip` a picture of both and of the value. `near` are the nearest reference rows' values.
    """

    name: str
    value: float
    purified: float | None
    low: float | None
    high: float | None
    off: Off
    usual: tuple[float, float, float] | None = None
    strip: Markup | None = None
    near: tuple[float, ...] = ()


def values_of(
    row: Array,
    purified: Array | None,
    facts: Mapping[str, Any],
    calibration: Calibration | None,
    near: Sequence[Array] = (),
) -> list[ValueView]:
    """The row's values in order, at most `VALUES_SHOWN`, with those that are off first where there are more."""
    flat = _flat(row)
    pure = None if purified is None else _flat(purified)
    spread = _spread(flat.size, calibration)
    low, high = _range(flat.size, facts, calibration, spread)
    names = facts.get("columns") or [f"value {i}" for i in range(flat.size)]
    off = _off(flat, low, high, spread)
    order = np.arange(flat.size) if flat.size <= VALUES_SHOWN else np.argsort(off == "", kind="stable")[:VALUES_SHOWN]
    beside = [_flat(other) for other in near]
    return [
        ValueView(
            str(names[i]) if i < len(names) else f"value {i}",
            float(flat[i]),
            None if pure is None else float(pure[i]),
            _finite(low[i]),
            _finite(high[i]),
            str(off[i]),  # type: ignore[arg-type]
            None if spread is None else (float(spread[1, i]), float(spread[3, i]), float(spread[5, i])),
            None if spread is None else strip(spread[:, i], flat[i]),
            tuple(float(other[i]) for other in beside),
        )
        for i in order.tolist()
    ]


def told(values: Sequence[ValueView]) -> str:
    """What is off, in a sentence; empty without a reference to hold the values against."""
    if not values or all(one.low is None and one.usual is None for one in values):
        return ""
    parts = []
    for word, said in (
        ("missing", "no number"),
        ("outside", "outside the reference's range"),
        ("rare", "beyond 98 % of the reference"),
    ):
        names = [one.name for one in values if one.off == word]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            parts.append(f"{len(names)} {said} ({', '.join(names[:_NAMED])}{more})")
    return f"Of {len(values)} values: {'; '.join(parts)}." if parts else "Every value is as in the reference."


def strip(spread: Array, value: float) -> Markup | None:
    """The reference's range as a line, 98 % and half of it as bars, its median, and where the value lies."""
    if not np.isfinite(spread).all() or not np.isfinite(value):
        return None
    low, high = min(float(spread[0]), value), max(float(spread[-1]), value)
    if high <= low:
        return None
    at = [2 + (_WIDTH - 4) * (each - low) / (high - low) for each in (*spread.tolist(), value)]
    first, one, quarter, middle, three, ninety, last, here = (f"{x:.1f}" for x in at)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH:g} 16" class="strip" aria-hidden="true">'
        f'<path class="whole" d="M{first} 8H{last}"/><path class="most" d="M{one} 8H{ninety}"/>'
        f'<path class="half" d="M{quarter} 8H{three}"/><path class="middle" d="M{middle} 4v8"/>'
        f'<circle class="marker" cx="{here}" cy="8" r="3"/></svg>'
    )


def _off(flat: Array, low: Array, high: Array, spread: Array | None) -> Array:
    off = np.full(flat.shape, "", dtype="U8")
    if spread is not None:
        off[(flat < spread[1]) | (flat > spread[5])] = "rare"
    off[(flat < low) | (flat > high)] = "outside"
    off[~np.isfinite(flat)] = "missing"
    return off


def _spread(size: int, calibration: Calibration | None) -> Array | None:
    sample = None if calibration is None else calibration.sample
    spread = None if sample is None else sample.spread
    return spread if spread is not None and spread.shape[1] == size else None


def _range(
    size: int, facts: Mapping[str, Any], calibration: Calibration | None, spread: Array | None
) -> tuple[Array, Array]:
    """The range that the contract learned; without one, the reference's own; without that, the stated bounds."""
    learned = None if calibration is None else (calibration.low, calibration.high)
    if learned is not None and learned[0] is not None and learned[1] is not None and learned[0].size == size:
        return learned[0].astype(np.float64).ravel(), learned[1].astype(np.float64).ravel()
    if spread is not None:
        return spread[0], spread[-1]
    low, high = facts.get("bounds") or (-np.inf, np.inf)
    return np.full(size, float(low)), np.full(size, float(high))


def _flat(row: Array) -> Array:
    return np.asarray(row, dtype=np.float64).ravel()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
