"""Images and series: figures of a row, and a Gaussian over them."""

from __future__ import annotations

from collections.abc import Sequence
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
class Figures:
    """The figures of rows, made once a view for all detectors that look at the same ones."""

    measures: ImageStatistics | SeriesStatistics
    key: str

    @staticmethod
    def fit(x: Array, spec: InputSpec) -> Figures:
        """Of this input; values are scaled by the reference rows where no bounds are stated.

        Raises:
            Unsuitable: rows are too small.
        """
        return Figures._with(Pixels.fit(x, spec), spec)

    @staticmethod
    def _with(pixels: Pixels, spec: InputSpec) -> Figures:
        kind = ImageStatistics if spec.kind == "image" else SeriesStatistics
        return Figures(kind.of(spec, pixels), f"figures {digest(pixels.to_arrays())}")

    @property
    def sizes(self) -> list[int]:
        """How many figures each look has."""
        return [len(names) for names in self.measures.looks.values()]

    def of(self, view: View) -> Array:
        """(n, figures) float32."""
        return view.once(self.key, lambda: self(view.x))

    def __call__(self, x: Array) -> Array:
        """(n, figures) float32 of guarded rows."""
        parts = [self.measures(part) for part in _in_parts(x, self.measures.size)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return self.measures.pixels.to_arrays()

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> Figures:
        """Those that `to_arrays` wrote."""
        return Figures._with(Pixels.from_arrays(arrays, spec), spec)


@dataclass(frozen=True, slots=True)
class ShapeStatistics:
    """One distance a look, each over its own figures: all in one Gaussian would hide what a few of them tell.

    Of several `gaussians`, of rows as they are and of rows with each kind of wear, the nearest counts.
    """

    figures: Figures
    gaussians: tuple[Gaussian, ...]
    looks: tuple[str, ...] = ("noise", "residuals", "values")

    @staticmethod
    def fit(
        view: View, spec: InputSpec, fitted: Array, aside: Array, worn: Sequence[View] = ()
    ) -> tuple[ShapeStatistics, Array]:
        """Of the `fitted` reference rows, and of each kind of `worn` ones; and the distances of the rows `aside`.

        Raises:
            Unsuitable: rows are too small.
        """
        figures = Figures.fit(view.x, spec)
        measured = figures.of(view)
        parts = [measured[fitted], *(figures.of(rows) for rows in worn)]
        statistics = ShapeStatistics(figures, tuple(Gaussian.fit(part, figures.sizes) for part in parts))
        return statistics, statistics.nearest(measured[aside])

    def of(self, view: View) -> Array:
        """(n, 3) float32 distances."""
        return self.nearest(self.figures.of(view))

    def distances(self, x: Array) -> Array:
        """(n, 3) float32 of guarded rows."""
        return self.nearest(self.figures(x))

    def nearest(self, measured: Array) -> Array:
        """(n, 3) float32 of figures (n, figures)."""
        found = self.gaussians[0].distances(measured)
        for gaussian in self.gaussians[1:]:
            np.minimum(found, gaussian.distances(measured), out=found)
        return found

    def explain(self, x: Array, look: str) -> str:
        """Which figure of the row (1, ...) stands out most in this look, in words."""
        z = self.gaussians[0].standard(self.figures(x))[0]
        start = 0
        for known, names in self.figures.measures.looks.items():
            if known == look:
                at = int(np.abs(z[start : start + len(names)]).argmax())
                side = "above" if z[start + at] > 0.0 else "below"
                return f"{names[at]} is {abs(z[start + at]):.1f} standard units {side} the usual"
            start += len(names)
        raise KeyError(look)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        first, *others = self.gaussians
        arrays = {**self.figures.to_arrays(), **first.to_arrays(), "gaussians": np.array(len(self.gaussians))}
        for index, gaussian in enumerate(others, 1):
            arrays |= {f"gaussian{index}_{name}": array for name, array in gaussian.to_arrays().items()}
        return arrays

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> ShapeStatistics:
        """Those that `to_arrays` wrote."""
        others = [f"gaussian{index}_" for index in range(1, int(arrays.get("gaussians", 1)))]
        learned = [Gaussian.from_arrays(arrays)]
        learned += [Gaussian.from_arrays({name: arrays[at + name] for name in Gaussian.NAMES}) for at in others]
        return ShapeStatistics(Figures.from_arrays(arrays, spec), tuple(learned))


def _in_parts(x: Array, size: int) -> list[Array]:
    """So many rows at a time that what is worked on stays in the processor's cache, about."""
    rows = max(1, _VALUES // size)
    return [x[start : start + rows] for start in range(0, max(len(x), 1), rows)]
