"""The columns of a table row that lie farthest from what the reference holds. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array

SHOWN = 8
MOST = 1000.0  # steps


@dataclass(frozen=True, slots=True)
class Column:
    """A value, and between which values 98 % of the reference's lie.

    `off` is its distance from their median, in steps of that from the median to the end of the range on its side.
    """

    name: str
    value: float
    low: float
    high: float
    off: float


def farthest(row: Array, reference: Array, names: tuple[str, ...]) -> tuple[Column, ...]:
    """Of a row (columns,) against reference rows (n, columns), the farthest first; missing values are left out."""
    known = reference.astype(np.float64)
    known[~np.isfinite(known)] = np.nan
    some = ~np.isnan(known).all(axis=0)
    low, middle, high = np.full((3, row.size), np.nan)
    low[some], middle[some], high[some] = np.nanquantile(known[:, some], [0.01, 0.5, 0.99], axis=0)
    value = row.astype(np.float64)
    room = np.where(value >= middle, high - middle, middle - low)
    scale = np.maximum(room, 1e-6 * np.maximum(np.abs(middle), 1.0))
    off = np.minimum(np.abs(value - middle) / scale, MOST)
    order = np.argsort(-np.nan_to_num(off, nan=-1.0), kind="stable")[:SHOWN]
    return tuple(
        Column(names[i], float(value[i]), float(low[i]), float(high[i]), float(off[i]))
        for i in order.tolist()
        if np.isfinite(off[i])
    )
