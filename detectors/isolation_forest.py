"""How few random splits set a row apart from reference rows.

Liu, Ting, Zhou: Isolation Forest (ICDM 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.isolation import Forest
from models.batch import Array, Arrays, InputSpec, Kind

_MOST = np.float32(3e38)


@dataclass(frozen=True, slots=True)
class IsolationForest:
    """The paper's score. A missing value counts as the column's `middle` (columns,)."""

    forest: Forest
    middle: Array
    name: str = "isolation_forest"

    def score(self, view: View) -> Array:
        """(n,) float32 between 0 and 1."""
        return self.forest.score(numbers(view.x, self.middle)).astype(np.float32)


class IsolationForestSpec(DetectorSpec):
    """So many `trees`, each grown on its own draw of `sample` reference rows. All columns count as numbers."""

    kind: Literal["isolation_forest"] = "isolation_forest"
    trees: Annotated[int, Field(ge=1, le=1000)] = 100
    sample: Annotated[int, Field(ge=2, le=4096)] = 256
    suits: ClassVar[frozenset[Kind]] = frozenset({"table"})

    def fit(self, reference: Reference) -> Arrays:
        """The trees, and what stands for missing values."""
        self.refuse_unsuitable(reference.spec, reference.view.outputs)
        x = reference.view.x.astype(np.float64)
        known = np.where(np.isfinite(x), x, np.nan)
        empty = np.isnan(known).all(axis=0)
        middle = np.nanmedian(np.where(empty, 0.0, known), axis=0).astype(np.float32)
        rows = numbers(reference.view.x, middle)
        forest = Forest.grow(rows, self.trees, self.sample, np.random.default_rng(reference.seed))
        return {**forest.to_arrays(), "middle": middle}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these trees."""
        return IsolationForest(Forest.from_arrays(arrays), arrays["middle"])


def numbers(x: Array, middle: Array) -> Array:
    """(n, columns) float32, finite."""
    with np.errstate(over="ignore"):  # beyond what float32 holds
        rows = x.astype(np.float32)
    if x.dtype.kind == "f":
        lost = np.isnan(rows)
        if lost.any():
            rows = np.where(lost, middle, rows)
        rows = np.clip(rows, -_MOST, _MOST)
    return np.ascontiguousarray(rows)
