"""Figures of the input, as `input_statistics` takes them, against those of rows that the model gives the same class.

A digit or a dog has its own usual noise, edges and values, so a row that the model takes for another class stands out
more. Class-conditional Gaussians after Lee, Lee, Lee, Shin (NeurIPS 2018), here over figures of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable, View
from detectors.digest import digest
from detectors.statistics.gaussian import Gaussian
from detectors.statistics.shapes import Figures
from models.batch import Array, Arrays, InputSpec, Kind

_MOST_SCORE = np.float32(1e9)
_FEW = 100  # reference rows
_FEW_OF_CLASS = 5  # rows a figure; classes with fewer are held against all rows
_SCALED_ON = 0.25  # of the reference rows: not fitted on, they tell how large distances of new rows are
_LOOKS = ("noise", "residuals", "values")


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """`gaussians` of which the first is that of all rows; `which` (classes,) says whose each class is."""

    figures: Figures
    gaussians: tuple[Gaussian, ...]
    which: Array
    shared: str  # by detectors of other looks
    columns: slice
    middle: Array
    per_range: Array
    name: str

    def score(self, view: View) -> Array:
        """(n,) float32: 0 for a middling honest row, 1 for one in a hundred, in its most unusual look."""
        standard: Array = view.once(self.shared, lambda: self._distances(view))[:, self.columns] - self.middle
        standard *= self.per_range
        return np.asarray(np.minimum(standard.max(axis=1), _MOST_SCORE))

    def _distances(self, view: View) -> Array:
        logits = view.outputs.logits
        assert logits is not None, "fitted on a model with logits"
        return distances(self.figures.of(view), self.which[logits.argmax(axis=1)], self.gaussians)


def distances(figures: Array, which: Array, gaussians: tuple[Gaussian, ...]) -> Array:
    """(n, looks) float32 of (n, figures), each row by the Gaussian that `which` (n,) says."""
    if len(figures) == 1:
        return gaussians[int(which[0])].distances(figures)
    found = np.empty((len(figures), len(_LOOKS)), dtype=np.float32)
    for index in np.unique(which):
        rows = which == index
        found[rows] = gaussians[index].distances(figures[rows])
    return np.asarray(found)


class ClassStatisticsSpec(DetectorSpec):
    """`look` picks one look; all are taken by default."""

    kind: Literal["class_statistics"] = "class_statistics"
    look: Literal["all", "noise", "residuals", "values"] = "all"
    needs: ClassVar[frozenset[Need]] = frozenset({"logits"})
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series"})

    def fit(self, reference: Reference) -> Arrays:
        """The figures' usual values by predicted class, and how far honest rows are from them.

        Raises:
            Unsuitable: too few or too small rows.
        """
        n, logits = len(reference.view), reference.view.outputs.logits
        if n < _FEW or logits is None:
            raise Unsuitable(f"class_statistics needs {_FEW} reference rows or more, not {n}")
        order = np.random.default_rng(reference.seed).permutation(n)
        aside, fitted = order[: int(n * _SCALED_ON)], np.sort(order[int(n * _SCALED_ON) :])
        figures = Figures.fit(reference.view.x, reference.spec)
        measured, classes = figures.of(reference.view), logits.argmax(axis=1)
        gaussians, which = _learn(measured[fitted], classes[fitted], logits.shape[1], figures.sizes)
        found = distances(measured[aside], which[classes[aside]], gaussians)
        middle, high = np.quantile(found, [0.5, 0.99], axis=0)
        parts = [gaussian.to_arrays() for gaussian in gaussians]
        stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        return {**figures.to_arrays(), **stacked, "which": which, "look_middle": middle, "look_high": high}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of these Gaussians."""
        names = Gaussian.NAMES
        gaussians = tuple(
            Gaussian.from_arrays({name: arrays[name][index] for name in names})
            for index in range(len(arrays[names[0]]))
        )
        at = slice(0, 3) if self.look == "all" else slice(_LOOKS.index(self.look), _LOOKS.index(self.look) + 1)
        middle, width = arrays["look_middle"][at], (arrays["look_high"] - arrays["look_middle"])[at]
        per_range = np.divide(1.0, width, out=np.zeros_like(width), where=width > 1e-6)
        return ClassStatistics(
            Figures.from_arrays(arrays, spec),
            gaussians,
            arrays["which"],
            digest(arrays),
            at,
            middle.astype(np.float32),
            per_range.astype(np.float32),
            self.kind if self.look == "all" else f"{self.kind}-{self.look}",
        )

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """How many classes have enough rows of their own."""
        own, count = int(np.count_nonzero(arrays["which"])), len(arrays["which"])
        return (f"class_statistics: {own} of {count} classes have enough reference rows to be held against their own",)


def _learn(figures: Array, classes: Array, count: int, sizes: list[int]) -> tuple[tuple[Gaussian, ...], Array]:
    """A Gaussian of all rows and one of each class with enough of them; and which one each class has, (classes,)."""
    gaussians = [Gaussian.fit(figures, sizes)]
    which = np.zeros(count, dtype=np.int64)
    for label, rows in enumerate(np.bincount(classes, minlength=count)):
        if rows >= _FEW_OF_CLASS * figures.shape[1]:
            which[label] = len(gaussians)
            gaussians.append(Gaussian.fit(figures[classes == label], sizes))
    return tuple(gaussians), which
