"""Jensen-Shannon divergence (Lin 1991)."""

from __future__ import annotations

import numpy as np

from detectors.drift.statistics.shares import known, shares
from models.batch import Array


def jensen_shannon(reference: Array, window: Array) -> Array:
    """(...) float64 in bits, 0 to 1."""
    p, q = shares(reference), shares(window)
    middle = (p + q) / 2.0
    found = (_relative(p, middle) + _relative(q, middle)) / 2.0
    return np.where(known(reference, window), np.maximum(found, 0.0), 0.0)


def _relative(p: Array, q: Array) -> Array:
    terms = p * np.log2(np.where(p > 0.0, p, 1.0) / np.where(p > 0.0, q, 1.0))
    return np.asarray(terms.sum(axis=-1))
