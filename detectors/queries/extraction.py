"""What tells of copying a model by asking it: rows near its boundary, and rows from all over its input space.

Juuti, Szyller, Marchal, Asokan: PRADA (EuroS&P 2019) and Kesarwani et al.: Model Extraction Warning in MLaaS Paradigm
(ACSAC 2018) look at how a caller's queries are spread; Tramer et al. (USENIX Security 2016) and Papernot et al. (2017)
ask along the boundary. These are measures for a person to look at: none marks anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.drift.arrays import prefixed, under
from detectors.queries.cells import Cells
from models.backend import Outputs
from models.batch import Array, Arrays

NEAR = 0.05  # of held-out rows that lie as near to the boundary


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """`margin`: the gap between the two largest logits below which a row is near; NaN where there are no classes."""

    cells: Cells
    margin: float

    @staticmethod
    def fit(reference: Array, held_out: Outputs, seed: int = 0) -> Extraction:
        """Of reference rows or their features (n, ...), and of the model's answers to rows that it never saw.

        Raises:
            ValueError: there are too few reference rows.
        """
        gaps = None if held_out.logits is None or held_out.logits.shape[1] < 2 else _gaps(held_out.logits)
        return Extraction(Cells.fit(reference, seed), np.nan if gaps is None else float(np.quantile(gaps, NEAR)))

    def near(self, logits: Array) -> Array:
        """(n,) bool: whether the rows with these logits lie near the boundary."""
        return np.asarray(_gaps(logits) < self.margin)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"margin": np.array(self.margin), **prefixed({"cells": self.cells.to_arrays()})}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Extraction:
        """What `to_arrays` wrote."""
        return Extraction(Cells.from_arrays(under("cells", arrays)), float(arrays["margin"]))


def territory(x: Array, outputs: Outputs) -> Array:
    """What cells are made of: the model's features where it tells any, else the rows (n, ...)."""
    return x if outputs.features is None else outputs.features


def _gaps(logits: Array) -> Array:
    top = np.partition(logits, logits.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])
