"""Kolmogorov-Smirnov distance on ordered bins (Smirnov 1939): what the bins' edges see of it."""

from __future__ import annotations

import numpy as np

from detectors.drift.statistics.shares import known, shares
from models.batch import Array


def kolmogorov_smirnov(reference: Array, window: Array) -> Array:
    """(...) float64, 0 to 1: the largest gap of the two cumulative shares; never above that of the rows themselves."""
    gaps = np.abs(np.cumsum(shares(window) - shares(reference), axis=-1))
    return np.where(known(reference, window), gaps.max(axis=-1), 0.0)
