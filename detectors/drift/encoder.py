"""Rows to small integers: the cell of every series, and the row's Fourier features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.drift.arrays import prefixed, under
from detectors.drift.bins import Bins, normal_scores
from detectors.drift.cells import HIDDEN
from detectors.drift.fourier import Fourier
from detectors.drift.outputs import OUTPUTS, output_series
from detectors.drift.projection import Projection
from detectors.drift.sums import Sums
from models.batch import Array, Arrays

FLAGGED = "flagged"
TOGETHER = "joint"  # all series
_TAKEN = (*OUTPUTS, FLAGGED, TOGETHER)
_NOMINAL = ("class",)  # their numbers are names: no order to shift along
_STILL = 1e-4  # energies all this near 0 are those of probabilities, and say nothing


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n rows as the tracker sees them: what it lacks is None, and the same for all rows of an endpoint.

    `columns` (n, d) are a table's values or the penultimate features of images and series, `logits` (n, classes) the
    model's answer, `flagged` (n,) whether the chain flagged or rejected the row: all else of such a row is left out, so
    that an attack doesn't look like drift, nor drift hide in it.
    """

    columns: Array | None = None
    logits: Array | None = None
    flagged: Array | None = None

    def __len__(self) -> int:
        return len(next(array for array in (self.columns, self.logits, self.flagged) if array is not None))

    def take(self, rows: Array | slice) -> Rows:
        """Only these rows."""
        parts = (None if array is None else array[rows] for array in (self.columns, self.logits, self.flagged))
        return Rows(*parts)

    @staticmethod
    def concat(parts: Sequence[Rows]) -> Rows:
        """All rows of these parts, one at least, in their order."""
        columns, logits = _joined([part.columns for part in parts]), _joined([part.logits for part in parts])
        return Rows(columns, logits, _joined([part.flagged for part in parts]))


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """`names` (series,) in order; `projection` for features, None for columns that are series themselves."""

    names: tuple[str, ...]
    bins: Bins
    fourier: Fourier
    projection: Projection | None = None

    @staticmethod
    def fit(
        reference: Rows, *, projection: Projection | None = None, columns: Sequence[str] = (), seed: int = 0
    ) -> Encoder:
        """Bins at these rows' quantiles. `columns` name the columns, where they are series themselves.

        Raises:
            ValueError: there is nothing to track.
        """
        outputs = _outputs(reference)
        if "energy" in outputs and np.nanmax(np.abs(outputs["energy"]), initial=0.0) < _STILL:
            del outputs["energy"]
        tracked = _columns(reference, projection)
        series = [*tracked, *outputs.values()]
        if not series:
            raise ValueError("there is nothing to track: no columns, no features and no outputs")
        names = (*_names(len(tracked), projection, columns), *outputs)
        bins = _bins(names, series)
        cells = _hidden(names, series, bins(series))
        return Encoder(names, bins, Fourier.fit(_scores(cells), cells, seed), projection)

    def refitted(self, series: Sequence[Array]) -> Encoder:
        """The same series with bins at the quantiles of these values; waves keep their frequencies."""
        bins = _bins(self.names, series)
        scores = _scores(_hidden(self.names, series, bins(series)))
        return replace(self, bins=bins, fourier=self.fourier.with_scores(scores))

    def series(self, rows: Rows) -> list[Array]:
        """The values of every series, (n,) float64 each."""
        outputs = _outputs(rows)
        return [*_columns(rows, self.projection), *(outputs[name] for name in outputs if name in self.names)]

    def encode(self, series: Sequence[Array]) -> tuple[Array, Array]:
        """Cells (n, series) and waves (n, waves) of rows with these values, int64."""
        cells = _hidden(self.names, series, self.bins(series))
        return cells, np.where(cells[:, :1] == HIDDEN, 0, self.fourier(cells))

    def sums(self, rows: Rows) -> Sums:
        """What these rows add."""
        return Sums.of(*self.encode(self.series(rows)))

    def zero(self) -> Sums:
        """Of no rows."""
        return Sums.zero(len(self.names), len(self.fourier.phases))

    @property
    def ordered(self) -> Array:
        """(series,) bool: whose values have an order, so that they can shift."""
        return np.array([name not in _NOMINAL for name in self.names])

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        parts = {"bins": self.bins.to_arrays(), "fourier": self.fourier.to_arrays()}
        if self.projection is not None:
            parts["projection"] = self.projection.to_arrays()
        return {"names": np.array(self.names), **prefixed(parts)}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Encoder:
        """The encoder that `to_arrays` wrote."""
        projection = under("projection", arrays)
        return Encoder(
            tuple(str(name) for name in arrays["names"]),
            Bins.from_arrays(under("bins", arrays)),
            Fourier.from_arrays(under("fourier", arrays)),
            Projection.from_arrays(projection) if projection else None,
        )


def _bins(names: Sequence[str], series: Sequence[Array]) -> Bins:
    """Bins of reference values; those of flagged rows are left out, but for how many there are."""
    if names[-1] != FLAGGED:
        return Bins.fit(series)
    allowed = series[-1] == 0.0
    return Bins.fit([*(values[allowed] for values in series[:-1]), series[-1]])


def _hidden(names: Sequence[str], series: Sequence[Array], cells: Array) -> Array:
    if names[-1] == FLAGGED:
        cells[series[-1] != 0.0, :-1] = HIDDEN
    return cells


def _scores(cells: Array) -> Array:
    return normal_scores(Sums.of(cells, np.zeros((len(cells), 0), dtype=np.int64)).counts)


def _columns(rows: Rows, projection: Projection | None) -> list[Array]:
    if rows.columns is None:
        return []
    if projection is not None:
        return projection(rows.columns)
    return list(np.ascontiguousarray(rows.columns.reshape(len(rows), -1).T, dtype=np.float64))


def _names(count: int, projection: Projection | None, columns: Sequence[str]) -> list[str]:
    """Unlike those of outputs, and of each other."""
    if projection is not None:
        return [*(f"component {index}" for index in range(1, count)), "residual"]
    named = list(columns) if len(columns) == count else [f"column {index}" for index in range(count)]
    return [f"column {name}" if name in _TAKEN else name for name in named]


def _outputs(rows: Rows) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if rows.logits is not None:
        found.update(zip(OUTPUTS, output_series(rows.logits), strict=True))
    if rows.flagged is not None:
        found[FLAGGED] = rows.flagged.astype(np.float64)
    return found


def _joined(arrays: Sequence[Array | None]) -> Array | None:
    return None if arrays[0] is None else np.concatenate([array for array in arrays if array is not None])
