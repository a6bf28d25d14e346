"""Shift of a mean of scores, in standard errors: with normal scores, van der Waerden's test (1952) on bins."""

from __future__ import annotations

import numpy as np

from models.batch import Array


def location(reference: Array, window: Array, scores: Array) -> Array:
    """(...) float64, signed; `scores` (..., bins). About standard normal without drift; 0 where nothing can be told."""
    n = reference.sum(axis=-1).astype(np.float64)
    m = window.sum(axis=-1).astype(np.float64)
    mean = (reference * scores).sum(axis=-1) / np.maximum(n, 1.0)
    moved = (window * scores).sum(axis=-1) / np.maximum(m, 1.0) - mean
    variance = (reference * scores * scores).sum(axis=-1) / np.maximum(n, 1.0) - mean * mean
    error = np.sqrt(np.maximum(variance, 0.0) * (1.0 / np.maximum(n, 1.0) + 1.0 / np.maximum(m, 1.0)))
    told = (n > 0) & (m > 0) & (error > 1e-12)
    return np.where(told, moved / np.where(told, error, 1.0), 0.0)
