from __future__ import annotations

import numpy as np

from detectors.logistic import fit_logistic
from models.batch import Array


def drawn(n: int = 4000) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    attacked = rng.random(n) < 0.5
    helpful = rng.normal(size=n) + 1.5 * attacked
    misleading = rng.normal(size=n) - 1.5 * attacked
    noise = rng.normal(size=n)
    return np.stack([helpful, misleading, noise], axis=1), attacked


def test_weights_are_never_negative_and_what_misleads_gets_none() -> None:
    evidence, attacked = drawn()
    weights, _ = fit_logistic(evidence, attacked, np.ones(len(attacked)))
    assert (weights >= 0.0).all()
    assert weights[0] > 1.0
    assert weights[1] == 0.0
    assert weights[2] < 0.1


def test_finds_the_known_optimum() -> None:
    evidence, attacked = drawn(40000)
    weights, constant = fit_logistic(evidence[:, :1], attacked, np.ones(len(attacked)), penalty=0.0)
    assert abs(weights[0] - 1.5) < 0.05  # of two unit Gaussians 1.5 apart
    assert abs(constant + 1.5**2 / 2) < 0.05


def test_both_sides_count_the_same_however_many_rows_they_have() -> None:
    evidence, attacked = drawn()
    few = np.concatenate([np.flatnonzero(~attacked), np.flatnonzero(attacked)[:200]])
    weights, constant = fit_logistic(evidence[few, :1], attacked[few], np.ones(len(few)))
    all_weights, all_constant = fit_logistic(evidence[:, :1], attacked, np.ones(len(attacked)))
    assert abs(weights[0] - all_weights[0]) < 0.3
    assert abs(constant - all_constant) < 0.3
