"""Images and series: figures of a row, and a Gaussian over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.base import View
from detectors.digest import digest
from detectors.statistics.gaussian import Gaussian
from detectors.statistics.images import ImageStatistics
from detectors.statistics.pixels import Pixels
from detectors.statistics.series import SeriesStatistics
from models.batch import Array, Arrays, InputSpec

_VALUES = 200_000  # looked at at a time


@dataclass(frozen=True, slots=True)
class ShapeStatistics:
    """One distance a look, each over its own figures: all in one Gaussian would hide what a few of them tell."""

    figures: ImageStatistics | SeriesStatistics
    gaussian: Gaussian
    looks: tuple[str, ...] = ("noise", "residuals", "values")

    @staticmethod
    def fit(view: View, spec: InputSpec, fitted: Array, aside: Array) -> tuple[ShapeStatistics, Array]:
        """Of the `fitted` reference rows; and the distances of the rows `aside`.

        Raises:
            Unsuitable: rows are too small.
        """
        figures = _figures(spec, Pixels.fit(view.x, spec))
        parts = _in_parts(view.x, figures.size)
        key = f"figures {digest(figures.pixels.to_arrays())}"  # other looks are at the same ones
        measured = view.once(key, lambda: np.concatenate([figures(part) for part in parts]))
        gaussian = Gaussian.fit(measured[fitted], [len(names) for names in figures.looks.values()])
        return ShapeStatistics(figures, gaussian), gaussian.distances(measured[aside])

    def distances(self, x: Array) -> Array:
        """(n, 3) float32."""
        parts = [self.gaussian.distances(self.figures(part)) for part in _in_parts(x, self.figures.size)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def explain(self, x: Array, look: str) -> str:
        """Which figure of the row (1, ...) stands out most in this look, in words."""
        z = self.gaussian.standard(self.figures(x))[0]
        start = 0
        for known, names in self.figures.looks.items():
            if known == look:
                at = int(np.abs(z[start : start + len(names)]).argmax())
                side = "above" if z[start + at] > 0.0 else "below"
                return f"{names[at]} is {abs(z[start + at]):.1f} standard units {side} the usual"
            start += len(names)
        raise KeyError(look)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {**self.figures.pixels.to_arrays(), **self.gaussian.to_arrays()}

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> ShapeStatistics:
        """Those that `to_arrays` wrote."""
        return ShapeStatistics(_figures(spec, Pixels.from_arrays(arrays, spec)), Gaussian.from_arrays(arrays))


def _figures(spec: InputSpec, pixels: Pixels) -> ImageStatistics | SeriesStatistics:
    return ImageStatistics.of(spec, pixels) if spec.kind == "image" else SeriesStatistics.of(spec, pixels)


def _in_parts(x: Array, size: int) -> list[Array]:
    """So many rows at a time that what is worked on stays in the processor's cache, about."""
    rows = max(1, _VALUES // size)
    return [x[start : start + rows] for start in range(0, max(len(x), 1), rows)]
