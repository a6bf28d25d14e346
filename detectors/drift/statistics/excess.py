"""More or fewer rows of a kind than the reference's share, in standard errors, also where the reference has none."""

from __future__ import annotations

import numpy as np

from models.batch import Array


def excess(reference: Array, reference_rows: Array, window: Array, window_rows: Array) -> Array:
    """(...) float64, signed: a difference of square roots of counts, whose spread hardly depends on them.

    Anscombe: The Transformation of Poisson, Binomial and Negative-Binomial Data (1948).
    `reference` and `window` (...) are the rows of the kind, out of so many rows.
    """
    ratio = window_rows / (np.asarray(reference_rows) + 1.0)
    expected = (reference + 1.0) * ratio  # one more: a kind not seen in n rows may have a share of 1/n
    found = 2.0 * (np.sqrt(window + 0.375) - np.sqrt(expected + 0.375)) / np.sqrt(1.0 + ratio)
    return np.asarray(found, dtype=np.float64)
