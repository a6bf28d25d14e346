"""scikit-learn's handwritten digits (Alpaydin and Kaynak 1998), split once: train, holdout and unseen rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from models.batch import Array, Bounds

TRAIN, HOLDOUT = 900, 697  # of 1797 rows; the other 200 are the honest callers
STEP = 1 / 16  # the scans have 17 gray levels
BOUNDS = Bounds(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows and their classes: `x` (n, 1, 8, 8) float32 in [0, 1] on the grid k/16, `y` (n,) int64."""

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def save(self, path: Path) -> None:
        """Writes arrays `x` and `y` to an .npz file."""
        np.savez_compressed(path, x=self.x, y=self.y)


@dataclass(frozen=True, slots=True)
class Digits:
    """The three parts: what the model is trained on, what thresholds are set on, and the callers of the demo."""

    train: Rows
    holdout: Rows
    honest: Rows


def load(seed: int = 0) -> Digits:
    """The digits, shuffled with `seed` and split."""
    raw = load_digits()
    x = (raw.images[:, None] * STEP).astype(np.float32)
    y = raw.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(x))
    parts = np.split(order, [TRAIN, TRAIN + HOLDOUT])
    return Digits(*(Rows(x[part], y[part]) for part in parts))
