"""Against normal scores of ranks as scipy has them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from detectors.statistics.ranks import Ranks
from models.batch import Array

RNG = np.random.default_rng(0)
FEW = RNG.choice([0.0, 1.0, 2.0, 7.0], 900, p=[0.5, 0.3, 0.15, 0.05])
MANY = RNG.lognormal(size=900)
X = np.stack([FEW, MANY, np.full(900, 3.0)], axis=1)


def scores(x: Array) -> Array:
    return Ranks.fit(X).scores(x)


def test_few_values_get_the_score_of_their_middle_rank() -> None:
    expected = norm.ppf((rankdata(FEW) - 0.5) / 900)
    assert np.allclose(scores(X)[:, 0], expected, atol=1e-3)


def test_many_values_get_nearly_the_score_of_their_rank() -> None:
    expected = norm.ppf((rankdata(MANY) - 0.5) / 900)
    assert np.abs(scores(X)[:, 1] - expected).max() < 0.15


def test_beyond_the_last_knot_scores_go_on_up_to_a_limit() -> None:
    top = MANY.max()
    far = scores(np.array([[0.0, top, 3.0], [0.0, 2 * top, 3.0], [0.0, 1e300, 3.0], [0.0, np.inf, 3.0]]))[:, 1]
    assert far[0] < far[1] < far[2] == far[3] == 12.0
    assert scores(np.array([[-1e300, 1.0, 3.0]]))[0, 0] == -12.0


def test_what_is_missing_or_never_moves_scores_nothing() -> None:
    assert scores(np.array([[np.nan, np.nan, 99.0]])).tolist() == [[0.0, 0.0, 0.0]]


def test_a_column_that_is_always_missing() -> None:
    ranks = Ranks.fit(np.array([[np.nan, 1.0], [np.nan, 2.0]]))
    assert ranks.scores(np.array([[5.0, 1.5]])).tolist() == [[0.0, pytest.approx(0.0, abs=1e-6)]]
    assert ranks.bins(np.array([[5.0, 1.0], [np.nan, np.nan]])).tolist() == [[0, 0], [1, 2]]


def test_bins_of_few_values_are_these_and_of_many_hold_equally_many() -> None:
    ranks = Ranks.fit(X)
    bins = ranks.bins(X)
    assert np.array_equal(bins[:, 0], np.searchsorted([0.0, 1.0, 2.0, 7.0], FEW))
    count = np.bincount(bins[:, 1], minlength=16)
    assert len(count) == 16
    assert count.max() - count.min() <= 2
    assert ranks.states.tolist() == [5, 17, 2]


def test_integers_beyond_single_precision_stay_apart() -> None:
    x = 2.0**40 + RNG.permutation(np.arange(200) % 4)[:, None]
    assert len(np.unique(Ranks.fit(x).scores(x))) == 4
