"""Known scores through the real fitting code: a model without outputs, and a detector that scores by one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, View
from gateway.config import StageConfig
from gateway.training.data import Rows
from gateway.training.fitting import Part
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, InputSpec


@dataclass(frozen=True)
class Table:
    """A model of `width` columns that answers nothing."""

    width: int

    @property
    def spec(self) -> InputSpec:
        return InputSpec("table", np.dtype("float32"), (self.width,))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (TensorSpec("x", "FP32", (-1, self.width)),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return ()

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        return Outputs({})


@dataclass(frozen=True)
class Column:
    """Scores a row by its value in one column."""

    column: int
    name: str = "column"

    def score(self, view: View) -> Array:
        return view.x[:, self.column]


class ColumnSpec(DetectorSpec):
    kind: Literal["column"] = "column"
    column: int

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Column(self.column)


def stage(column: int, **usage: Any) -> StageConfig:
    """A chain entry that scores by this column."""
    return StageConfig.model_construct(detector=ColumnSpec(column=column), name=f"column-{column}", **usage)


def chain(width: int, conditional: bool = False) -> tuple[StageConfig, ...]:
    """One stage a column, all always on but, if wanted, the last."""
    last = {"when": "suspicious", "share": 0.1} if conditional else {}
    return (*(stage(column) for column in range(width - 1)), stage(width - 1, **last))


@dataclass(frozen=True)
class Split:
    """Rows of a score matrix, by part."""

    scores: Array
    rows: Mapping[Part, Array]

    def read(self, part: Part) -> Rows:
        return Rows(Batch(self.scores[self.rows[part]]))


def split(scores: Array, seed: int, rank: int, calibrate: int) -> Split:
    """A seeded split: so many rank and calibrate rows, all others are check rows; a few stand for the reference."""
    order = np.random.default_rng(seed).permutation(len(scores))
    ranked, calibrated, check = np.split(order, [rank, rank + calibrate])
    return Split(scores, {"reference": ranked[:8], "rank": ranked, "calibrate": calibrated, "check": check})
