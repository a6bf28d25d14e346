"""Population stability index: Jeffreys' divergence (1946) on bins, as credit scoring reads it (Siddiqi 2006)."""

from __future__ import annotations

import numpy as np

from detectors.drift.statistics.shares import known
from models.batch import Array


def psi(reference: Array, window: Array) -> Array:
    """(...) float64, 0 and up; half a row is added to every bin, so that empty ones stay finite."""
    p, q = _smoothed(reference), _smoothed(window)
    return np.where(known(reference, window), ((q - p) * np.log(q / p)).sum(axis=-1), 0.0)


def _smoothed(counts: Array) -> Array:
    more = counts + 0.5
    return np.asarray(more / more.sum(axis=-1, keepdims=True))
