"""Figures of the input alone: how noisy, how smooth, how spread, against those of the reference. Needs no model.

Several looks, each with its own distance; the score is the largest, in units of what 1 % of honest rows exceed. What
is looked at, and by whom it was found, stands in `detectors/statistics/`: images, series, tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Reference, Unsuitable, View
from detectors.digest import digest
from detectors.statistics.shapes import ShapeStatistics
from detectors.statistics.tables import TableStatistics
from models.batch import Array, Arrays, InputSpec, Kind

Look = Literal["all", "noise", "residuals", "values", "pairs"]
_MOST_SCORE = 1e9
_FEW = 50  # reference rows
_SCALED_ON = 0.25  # of the reference rows: not fitted on, they tell how large distances of new rows are


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """`columns` of the distances are looked at; `middle` and `per_range` (looks,) put them on one scale."""

    statistics: ShapeStatistics | TableStatistics
    shared: str  # by detectors of other looks at the same statistics
    columns: slice
    middle: Array
    per_range: Array
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32: 0 for a middling honest row, 1 for one in a hundred, in its most unusual look."""
        distances = view.once(self.shared, lambda: self.statistics.of(view))
        return np.asarray(self._standard(distances).max(axis=1))

    def explain(self, x: Array) -> str:
        """What is most unusual about this row (no batch axis), in words."""
        distances = self.statistics.distances(x[None])
        look = self.statistics.looks[self.columns][int(self._standard(distances)[0].argmax())]
        return f"{look}: {self.statistics.explain(x[None], look)}"

    def _standard(self, distances: Array) -> Array:
        standard = distances[:, self.columns] - self.middle
        standard *= self.per_range
        return np.asarray(np.minimum(standard, np.float32(_MOST_SCORE), out=standard))


class InputStatisticsSpec(DetectorSpec):
    """`look` picks one look; all are taken by default. With `worn`, what is usual of rows with some mild wear is usual.

    Images and series have `noise`, `residuals` and `values`, tables `values`, `pairs` and `residuals`.
    """

    kind: Literal["input_statistics"] = "input_statistics"
    look: Look = "all"
    worn: bool = False
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "table", "series"})

    def fit(self, reference: Reference) -> Arrays:
        """The statistics' usual values, and how far honest rows are from them.

        Raises:
            Unsuitable: too few or too small rows, no such look at this kind of input, or no wear to learn from.
        """
        n = len(reference.view)
        if n < _FEW:
            raise Unsuitable(f"input_statistics needs {_FEW} reference rows or more, not {n}")
        order = np.random.default_rng(reference.seed).permutation(n)
        aside = int(n * _SCALED_ON)
        rows = np.sort(order[aside:]), np.sort(order[:aside])
        worn = [view for view in reference.worn.values() if len(view) >= _FEW] if self.worn else []
        if self.worn and not worn:
            raise Unsuitable("`worn: true`: the reference comes with no wear (see `wear` of the endpoint)")
        fitted, distances = _FITTED[reference.spec.kind].fit(reference.view, reference.spec, *rows, worn)
        self._columns(fitted.looks)
        middle, high = np.quantile(distances, [0.5, 0.99], axis=0)
        return {**fitted.to_arrays(), "look_middle": middle, "look_high": high, "rows": np.array(n)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these statistics."""
        statistics = _FITTED[spec.kind].from_arrays(arrays, spec)
        columns = self._columns(statistics.looks)
        middle, width = arrays["look_middle"][columns], (arrays["look_high"] - arrays["look_middle"])[columns]
        per_range = np.divide(1.0, width, out=np.zeros_like(width), where=width > 1e-6)
        name = (self.kind if self.look == "all" else f"{self.kind}-{self.look}") + "-worn" * self.worn
        single = np.float32
        return InputStatistics(
            statistics, digest(arrays), columns, middle.astype(single), per_range.astype(single), name
        )

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What is looked at."""
        looks = _FITTED[spec.kind].from_arrays(arrays, spec).looks[:]
        return (
            f"input_statistics: looks at {', '.join(looks)} of {spec.kind} rows, learned from {arrays['rows']} rows",
        )

    def _columns(self, looks: tuple[str, ...]) -> slice:
        if self.look == "all":
            return slice(0, len(looks))
        if self.look not in looks:
            raise Unsuitable(f"look: expected all, {', '.join(looks)}, found {self.look!r}")
        return slice(looks.index(self.look), looks.index(self.look) + 1)


_FITTED: dict[Kind, type[ShapeStatistics] | type[TableStatistics]] = {
    "image": ShapeStatistics,
    "series": ShapeStatistics,
    "table": TableStatistics,
}
