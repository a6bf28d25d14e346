"""A chi-square variable as a standard normal one."""

from __future__ import annotations

import numpy as np

from models.batch import Array


def deviate(statistic: Array, freedom: Array | float) -> Array:
    """(...) float64, about standard normal: a chi-square's cube root (Wilson, Hilferty 1931); 0 without freedom."""
    degrees = np.maximum(freedom, 1e-9)
    off = 2.0 / (9.0 * degrees)
    found = (np.cbrt(statistic / degrees) - (1.0 - off)) / np.sqrt(off)
    return np.where(np.asarray(freedom) > 0.0, found, 0.0)
