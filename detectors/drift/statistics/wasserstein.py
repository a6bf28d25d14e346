"""First Wasserstein distance on ordered bins, in ranks of the reference (Vallender 1974 for one dimension)."""

from __future__ import annotations

import numpy as np

from detectors.drift.statistics.shares import known, shares
from models.batch import Array


def wasserstein(reference: Array, window: Array) -> Array:
    """(...) float64, 0 to 1: how far mass has to move, where a bin's place is the middle rank of its reference rows."""
    p = shares(reference)
    places = np.cumsum(p, axis=-1) - p / 2.0
    gaps = np.abs(np.cumsum(shares(window) - p, axis=-1))[..., :-1]
    return np.where(known(reference, window), (gaps * np.diff(places, axis=-1)).sum(axis=-1), 0.0)
