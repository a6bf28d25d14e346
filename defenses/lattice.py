"""Snaps every column of a table to values that it takes in the reference: what lies between them was never honest.

The projection, column by column, onto the feasible rows of Simonetto, Dyrmishi, Ghamizi, Cordy, Le Traon: A Unified
Framework for Adversarial Attack and Defense in Constrained Feature Space (IJCAI 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.base import Purifier, PurifierSpec, Unsuitable
from defenses.values import Values
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind

_REPEATS = 2  # rows a value, on average: a column that has fewer is no choice among values


@dataclass(frozen=True, slots=True)
class Lattice:
    """Of two values equally near it is the smaller. Columns without a lattice stay as they are."""

    name: str
    columns: tuple[tuple[int, Array], ...]  # which, and its values, ascending
    whole: Array  # columns of many whole numbers
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, columns), same dtype."""
        snapped = x.copy()
        for column, known in self.columns:
            snapped[:, column] = _nearest(x[:, column], known)
        if len(self.whole):
            snapped[:, self.whole] = np.rint(snapped[:, self.whole])
        return self.values.cast(snapped)


def _nearest(values: Array, known: Array) -> Array:
    right = np.clip(np.searchsorted(known, values), 1, max(len(known) - 1, 1))
    left, right = right - 1, np.minimum(right, len(known) - 1)
    far = values.astype(np.float64)
    nearer = known[right] - far < far - known[left]
    found = np.where(nearer, known[right], known[left])
    return np.where(np.isnan(far), far, found)


class LatticeSpec(PurifierSpec):
    """A column has a lattice when it takes at most `most` values, or only whole ones."""

    kind: Literal["lattice"] = "lattice"
    most: Annotated[int, Field(ge=1, le=100_000)] = 256
    suits: ClassVar[frozenset[Kind]] = frozenset({"table"})

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """`values`, the columns' values one after another, `counts` of each column (0: no few values), `whole`."""
        self.refuse_unsuitable(spec)
        values, counts, whole = [np.empty(0)], [], []
        for column in x.T.astype(np.float64):
            column = column[np.isfinite(column)]
            distinct = np.unique(column)
            few = 0 < len(distinct) <= min(self.most, len(column) / _REPEATS)
            counts.append(len(distinct) if few else 0)
            values.append(distinct if few else np.empty(0))
            whole.append(not few and len(distinct) > 0 and bool((distinct == np.rint(distinct)).all()))
        return {"values": np.concatenate(values), "counts": np.array(counts), "whole": np.flatnonzero(whole)}

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but tables."""
        self.refuse_unsuitable(spec)
        if "values" not in arrays:
            raise Unsuitable("lattice needs the values that the columns take: fit it first")
        parts = np.split(arrays["values"], np.cumsum(arrays["counts"])[:-1])
        columns = tuple((index, part) for index, part in enumerate(parts) if len(part))
        return Lattice(f"lattice-{self.most}", columns, arrays["whole"], Values.plain(spec))
