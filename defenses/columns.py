"""Columns of a table, brought to a common scale. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defenses.values import Values
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class Columns:
    """Maps rows to standard units, in which a missing value is 0, and back. `mean`, `spread` are (columns,) float64."""

    mean: Array
    spread: Array
    values: Values

    @staticmethod
    def learn(x: Array) -> dict[str, Array]:
        """`mean` and `spread` (1 where there is none) of every column; what is missing is left out."""
        rows = x.astype(np.float64)
        known = np.isfinite(rows)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, rows, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, rows - mean, 0.0) ** 2).sum(axis=0) / count)
        return {"mean": mean, "spread": np.where(spread > 0.0, spread, 1.0)}

    @staticmethod
    def of(spec: InputSpec, arrays: Arrays) -> Columns:
        """The scale that `learn` found."""
        return Columns(arrays["mean"], arrays["spread"], Values.plain(spec))

    def enter(self, x: Array) -> Array:
        """(n, columns) float32."""
        return np.nan_to_num(((x - self.mean) / self.spread).astype(np.float32), nan=0.0)

    def leave(self, z: Array, x: Array) -> Array:
        """Rows of the type of `x`, inside the bounds, missing where `x` is."""
        return self._cast(z * self.spread + self.mean, x)

    def moved(self, x: Array, by: Array) -> Array:
        """The rows, moved by so many standard units."""
        return self._cast(x + by * self.spread, x)

    def _cast(self, values: Array, x: Array) -> Array:
        back = self.values.cast(values)
        if self.values.missing:
            back[np.isnan(x)] = np.nan
        return back
