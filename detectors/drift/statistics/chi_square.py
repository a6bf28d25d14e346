"""Chi-square of two samples being of one distribution (Pearson 1911): the reference's error counts as the window's."""

from __future__ import annotations

import numpy as np

from detectors.drift.statistics.shares import known
from models.batch import Array


def chi_square(reference: Array, window: Array) -> Array:
    """(...) float64; about chi-square with one degree of freedom less than bins that have rows, if nothing drifted."""
    n = reference.sum(axis=-1, keepdims=True).astype(np.float64)
    m = window.sum(axis=-1, keepdims=True).astype(np.float64)
    ratio = np.sqrt(np.maximum(n, 1.0) / np.maximum(m, 1.0))
    both = reference + window
    terms = (window * ratio - reference / ratio) ** 2 / np.maximum(both, 1)
    return np.where(known(reference, window), terms.sum(axis=-1), 0.0)
