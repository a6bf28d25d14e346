"""The inverse covariance of few rows: shrunk toward a multiple of the identity.

Ledoit, Wolf: A well-conditioned estimator for large-dimensional covariance matrices (J. Multivariate Analysis 2004).
"""

from __future__ import annotations

import numpy as np

from models.batch import Array

_LEAST = 1e-6  # shrinkage, so that the inverse always exists


def whitening(residuals: Array) -> Array:
    """W (d, d) with W W^T the inverse of the shrunk covariance of the centered rows (n, d)."""
    n, d = residuals.shape
    sample = residuals.T @ residuals / n
    size = float(np.trace(sample)) / d
    if size <= 0.0:
        return np.eye(d)
    apart = float(((sample - size * np.eye(d)) ** 2).sum())
    noise = (float(((residuals**2).sum(axis=1) ** 2).mean()) - float((sample**2).sum())) / n
    shrink = 1.0 if apart <= 0.0 else min(max(noise / apart, _LEAST), 1.0)
    shrunk = (1.0 - shrink) * sample + shrink * size * np.eye(d)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk)).T)
