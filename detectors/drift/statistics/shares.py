"""Counts as shares of their sum."""

from __future__ import annotations

import numpy as np

from models.batch import Array


def shares(counts: Array) -> Array:
    """(..., bins) float64 that sum to 1; all 0 where there are no rows."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(counts / np.maximum(total, 1), dtype=np.float64)


def known(reference: Array, window: Array) -> Array:
    """(...) bool: both sides have rows."""
    return np.asarray((reference.sum(axis=-1) > 0) & (window.sum(axis=-1) > 0))
