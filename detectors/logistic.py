"""Logistic regression whose weights can't be negative: more of any evidence never makes a row less suspicious. Pure."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from models.batch import Array

PENALTY = 1e-3  # on squared weights, beside a mean loss


def fit_logistic(evidence: Array, attacked: Array, weight: Array, penalty: float = PENALTY) -> tuple[Array, float]:
    """Weights (d,) and the constant that tell attacked rows from honest ones.

    `evidence` is (n, d), `attacked` (n,) true or false, `weight` (n,) what a row counts for; each side's are brought to
    a sum of one.
    """
    y = attacked.astype(np.float64)
    counts = np.where(attacked, weight / weight[attacked].sum(), weight / weight[~attacked].sum())
    d = evidence.shape[1]

    def loss(p: Array) -> tuple[float, Array]:
        logit = evidence @ p[:d] + p[d]
        value = counts @ np.where(attacked, np.logaddexp(0.0, -logit), np.logaddexp(0.0, logit))
        error = counts * (special.expit(logit) - y)
        slope = np.append(evidence.T @ error + penalty * p[:d], error.sum())
        return float(value + penalty * p[:d] @ p[:d] / 2.0), slope

    bounds = [(0.0, None)] * d + [(None, None)]
    found = optimize.minimize(
        loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000}
    )
    return np.asarray(found.x[:d]), float(found.x[d])
