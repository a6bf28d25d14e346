"""The chain keeps its budget on fresh rows, on average and for a set, whatever its stages: on synthetic scores."""

from __future__ import annotations

import numpy as np
import pytest

from models.batch import Array
from tests.budgets import outcomes
from tests.columns import chain

RANK, CALIBRATE, FRESH = 250, 700, 1500


def scores(width: int, ties: bool = False) -> Array:
    """Correlated columns with tails light and heavy; with `ties` some are counts, and one is nearly always 0."""
    rng = np.random.default_rng(0)
    n = RANK + CALIBRATE + FRESH
    x = 0.6 * rng.normal(size=(n, 1)) + rng.normal(size=(n, width))
    x[:, ::3] = np.exp(x[:, ::3])
    x[:, 1::3] *= np.abs(rng.standard_t(3, size=(n, len(range(1, width, 3)))))
    if ties:
        x[:, 1] = np.maximum(x[:, 1] - 8.0, 0.0)
        x[:, 2:5] = np.round(x[:, 2:5])
    return np.ascontiguousarray(x, dtype=np.float32)


@pytest.mark.parametrize("budget", [0.005, 0.01, 0.05])
@pytest.mark.parametrize(("width", "conditional"), [(1, False), (8, True)])
def test_the_rate_on_fresh_rows_follows_the_law(width: int, conditional: bool, budget: float) -> None:
    found = outcomes(scores(width), chain(width, conditional), budget, RANK, CALIBRATE)
    for outcome in found.values():
        assert abs(outcome.excess) <= 3.0
        assert outcome.fit > 1e-3
    share, most = found["set"].over(budget)
    assert share <= most < 0.13


@pytest.mark.parametrize("budget", [0.005, 0.05])
def test_ties_only_make_it_smaller(budget: float) -> None:
    found = outcomes(scores(8, ties=True), chain(8, conditional=True), budget, RANK, CALIBRATE)
    for outcome in found.values():
        assert outcome.excess <= 3.0
    share, most = found["set"].over(budget)
    assert share <= most


def test_scores_that_always_tie_flag_nobody() -> None:
    found = outcomes(np.zeros((RANK + CALIBRATE + FRESH, 2), np.float32), chain(2), 0.05, RANK, CALIBRATE)
    assert found["average"].hits.sum() == 0
