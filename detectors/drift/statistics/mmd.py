"""Maximum mean discrepancy on random Fourier features (Gretton et al. 2012; Rahimi, Recht 2007)."""

from __future__ import annotations

import numpy as np

from models.batch import Array


def mmd(reference: Array, reference_rows: Array, window: Array, window_rows: Array) -> Array:
    """(...) float64: the squared distance of two mean vectors, given their sums (..., waves); 0 without rows."""
    n, m = np.asarray(reference_rows, dtype=np.float64), np.asarray(window_rows, dtype=np.float64)
    gap = window / np.maximum(m, 1.0)[..., None] - reference / np.maximum(n, 1.0)[..., None]
    return np.where((n > 0) & (m > 0), (gap * gap).sum(axis=-1) * 2.0 / gap.shape[-1], 0.0)
