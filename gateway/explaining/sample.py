"""Some reference rows to look at beside a row that was stopped, and how a table's columns are spread. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.batch import Array, Arrays, InputSpec

QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)
MOST_BYTES = 2**22  # of the rows that are kept
_HALF_MOST = 512.0  # up to which half precision tells values half a unit apart


@dataclass(frozen=True, slots=True)
class Near:
    """A kept reference row: its number in the reference file, its class where known, its distance from the row."""

    index: int
    row: int
    label: int | None
    distance: float


@dataclass(frozen=True, slots=True)
class Sample:
    """`x` (m, ...) are the kept rows, numbers `rows` (m,) of the reference, with classes `y` (m,), -1 where unknown.

    `quantiles` (7, columns) are of all reference rows, a table's only; else (7, 0). A distance is the root mean square
    of the differences, each divided by `scale` (values,) or (1,): of a table the room that half of the reference's
    values take in the column, else the room that all values take. `typical` is the distance from a kept row to the
    nearest other one, in the middle of all.
    """

    x: Array
    rows: Array
    y: Array
    quantiles: Array
    scale: Array
    typical: float

    def __len__(self) -> int:
        return len(self.x)

    @staticmethod
    def take(x: Array, y: Array | None, spec: InputSpec, most: int, seed: int) -> Sample | None:
        """At most `most` rows of the reference, each class as often as the others; None where rows are no numbers."""
        if x.dtype.kind not in "fiub" or not most or not len(x):
            return None
        each = max(1, x[0].size * _kept_dtype(x, spec).itemsize)
        rows = np.sort(_balanced(y, len(x), min(most, max(1, MOST_BYTES // each)), np.random.default_rng(seed)))
        quantiles = _quantiles(x) if spec.kind == "table" else np.empty((len(QUANTILES), 0))
        labels = np.full(len(rows), -1, np.int64) if y is None else y[rows].astype(np.int64)
        kept = x[rows]
        scale = _column_room(quantiles) if quantiles.shape[1] else np.array([_room(kept, spec)])
        typical = _typical(_scaled(kept, scale))
        return Sample(kept.astype(_kept_dtype(x, spec)), rows, labels, quantiles, scale, typical)

    def to_arrays(self) -> dict[str, Array]:
        """As named arrays."""
        return {
            "x": self.x,
            "rows": self.rows,
            "y": self.y,
            "quantiles": self.quantiles,
            "scale": self.scale,
            "typical": np.array(self.typical),
        }

    @staticmethod
    def from_arrays(arrays: Arrays) -> Sample:
        """What `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
        """
        x, rows, y, quantiles, scale = (arrays[name] for name in ("x", "rows", "y", "quantiles", "scale"))
        return Sample(x, rows, y, quantiles, scale, float(arrays["typical"]))

    @property
    def spread(self) -> Array | None:
        """(7, columns) quantiles; None but for tables."""
        return self.quantiles if self.quantiles.shape[1] else None

    def nearest(self, row: Array, count: int) -> list[Near]:
        """The kept rows that lie nearest to a row; none where it has another shape or no numbers."""
        if row.shape != self.x.shape[1:] or row.dtype.kind not in "fiub":
            return []
        with np.errstate(over="ignore", invalid="ignore"):
            apart = np.nan_to_num(_distances(_scaled(row[None], self.scale), _scaled(self.x, self.scale)), nan=np.inf)
        order = np.argsort(apart, kind="stable")[:count]
        return [
            Near(int(i), int(self.rows[i]), None if self.y[i] < 0 else int(self.y[i]), float(apart[i])) for i in order
        ]


def _balanced(y: Array | None, n: int, most: int, rng: np.random.Generator) -> Array:
    """So many of n rows: of every class its first in a random order, then its second, and so on."""
    order: Array = rng.permutation(n)
    if y is None:
        return order[:most]
    turn = np.empty(n, np.int64)
    for label in np.unique(y):
        mine = y[order] == label
        turn[mine] = np.arange(int(mine.sum()))
    chosen: Array = order[np.argsort(turn, kind="stable")[:most]]
    return chosen


def _kept_dtype(x: Array, spec: InputSpec) -> np.dtype[Any]:
    """Half precision is enough to look at an image, where its bounds leave it 8 bits."""
    bounds = spec.bounds
    fine = spec.kind != "image" or bounds is None or max(abs(bounds.low), abs(bounds.high)) > _HALF_MOST
    return x.dtype if fine or x.dtype.kind != "f" else np.dtype(np.float16)


def _quantiles(x: Array) -> Array:
    known = x.reshape(len(x), -1).astype(np.float64)
    known[~np.isfinite(known)] = np.nan
    found = np.full((len(QUANTILES), known.shape[1]), np.nan)
    some = ~np.isnan(known).all(axis=0)
    found[:, some] = np.nanquantile(known[:, some], QUANTILES, axis=0)
    return found


def _column_room(quantiles: Array) -> Array:
    """Half of the values lie in it; where they are all the same, the widest room that is none; at last 1."""
    room = np.ones(quantiles.shape[1])
    for low, high in ((0, 6), (1, 5), (2, 4)):  # wider ones first: narrower ones take their place
        wide = quantiles[high] - quantiles[low]
        room = np.where(wide > 0, wide, room)
    return room


def _room(x: Array, spec: InputSpec) -> float:
    if spec.bounds is not None:
        return float(spec.bounds.high - spec.bounds.low) or 1.0
    finite = np.asarray(x, np.float64)
    finite = finite[np.isfinite(finite)]
    return (float(np.ptp(finite)) if finite.size else 0.0) or 1.0


def _scaled(x: Array, scale: Array) -> Array:
    return np.asarray(x.reshape(len(x), -1).astype(np.float64) / scale, np.float32)


def _distances(row: Array, others: Array) -> Array:
    """(m,) from (1, values) and (m, values). A value that only one of both has counts as one room apart."""
    apart = np.abs(others - row)
    missing = np.isnan(apart)
    if missing.any():
        apart = np.where(missing, (np.isnan(others) != np.isnan(row)).astype(np.float32), apart)
    found: Array = np.sqrt(np.mean(np.square(apart, dtype=np.float64), axis=1))
    return found


def _typical(x: Array) -> float:
    if len(x) < 2:
        return 0.0
    nearest = [np.partition(_distances(x[i : i + 1], x), 1)[1] for i in range(len(x))]
    return float(np.median(nearest))
