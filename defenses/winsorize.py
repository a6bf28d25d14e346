"""Pulls every column of a table into the range that most of the reference lies in.

Hastings, Mosteller, Tukey, Winsor: Low Moments for Small Samples (Annals of Mathematical Statistics, 1947).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec, Unsuitable
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class Winsorize:
    """`low` and `high` (columns,) are values of the reference, so that they lie on a column's lattice."""

    name: str
    low: Array
    high: Array

    def apply(self, x: Array) -> Array:
        """(n, columns), same dtype."""
        return np.clip(x, self.low, self.high)


class WinsorizeSpec(PurifierSpec):
    """`share` of the reference lies outside on either side."""

    kind: Literal["winsorize"] = "winsorize"
    share: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.01
    suits: ClassVar[frozenset[Kind]] = frozenset({"table"})

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """`low` and `high`; a column without any known value has no limits."""
        self.refuse_unsuitable(spec)
        empty = np.isnan(x).all(axis=0) if x.dtype.kind == "f" else np.zeros(x.shape[1], dtype=bool)
        rows = np.where(empty, 0, x)
        low = np.nanquantile(rows, self.share, axis=0, method="lower")
        high = np.nanquantile(rows, 1.0 - self.share, axis=0, method="higher")
        return {
            "low": np.where(empty, -np.inf, low).astype(x.dtype) if empty.any() else low.astype(x.dtype),
            "high": np.where(empty, np.inf, high).astype(x.dtype) if empty.any() else high.astype(x.dtype),
        }

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but tables."""
        self.refuse_unsuitable(spec)
        if "low" not in arrays:
            raise Unsuitable("winsorize needs the range of the columns: fit it first")
        return Winsorize(f"winsorize-{self.share:g}", arrays["low"], arrays["high"])
