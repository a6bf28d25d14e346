"""Shifts of log-odds beyond what is usual of the predicted class."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.odds import MOST_SCORE, Odds
from models.batch import Array


def logits(n: int, classes: int = 4, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0.0, 3.0, (n, classes)).astype(np.float32)


def moved(plain: Array, seed: int = 1) -> Array:
    """Every row half as sure as before, give or take some."""
    noise = np.random.default_rng(seed).normal(0.0, 0.1, plain.shape)
    return np.asarray((0.5 * plain + noise).astype(np.float32))


@pytest.mark.parametrize("classes", [2, 4, 100])
def test_usual_shifts_are_small_whatever_the_gap(classes: int) -> None:
    odds = Odds.fit(plain := logits(2000, classes), moved(plain))
    fresh = logits(500, classes, seed=2)
    scores = odds.score(fresh, moved(fresh, seed=3))
    assert scores.dtype == np.float32
    assert np.quantile(scores, 0.99) < 6.0
    gap = np.sort(fresh, axis=1)[:, -1] - np.sort(fresh, axis=1)[:, -2]
    assert abs(np.corrcoef(gap, scores)[0, 1]) < 0.3


def test_a_class_that_gains_more_than_usual_stands_out() -> None:
    odds = Odds.fit(plain := logits(2000), moved(plain))
    fresh = logits(100, seed=2)
    after = moved(fresh, seed=3)
    before = odds.score(fresh, after)
    other = (fresh.argmax(axis=1) + 1) % 4
    after[np.arange(100), other] += 2.0
    assert (odds.score(fresh, after) > before + 5.0).all()


def test_a_pair_of_classes_has_its_own_usual_shift() -> None:
    plain = logits(4000)
    after = plain.copy()
    after[plain.argmax(axis=1) == 0, 1] += 3.0  # of rows of class 0 it is usual that class 1 gains
    after += np.random.default_rng(3).normal(0.0, 0.1, after.shape).astype(np.float32)
    odds = Odds.fit(plain, after)
    row = np.array([[5.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    gains = np.array([[5.0, 3.0, 0.0, 0.0]], dtype=np.float32)
    assert odds.score(row, gains)[0] < 6.0
    assert odds.score(row[:, [1, 0, 2, 3]], gains[:, [1, 0, 2, 3]])[0] > 10.0


def test_what_lies_beyond_all_honest_gaps_is_as_usual_as_what_lies_at_their_end() -> None:
    odds = Odds.fit(plain := logits(2000), moved(plain))
    far = np.array([[0.0, -1e3, -1e3, -1e3]], dtype=np.float32)
    gains = far + np.array([[0.0, 50.0, 0.0, 0.0]], dtype=np.float32)
    assert odds.score(far, gains)[0] > 100.0


def test_classes_that_are_rare_or_never_predicted_share_what_is_usual_of_all() -> None:
    plain = logits(2000)
    plain[:, 3] -= 100.0
    odds = Odds.fit(plain, moved(plain))
    assert np.isfinite(odds.per_spread).all()
    assert np.array_equal(odds.curve[:, 3, 0], odds.curve[:, 3, 1])


def test_no_numbers_are_as_suspicious_as_can_be() -> None:
    odds = Odds.fit(plain := logits(500), moved(plain))
    broken = np.array([[np.nan] * 4, [np.inf, 0.0, 0.0, 0.0]], dtype=np.float32)
    assert (odds.score(broken, broken) == MOST_SCORE).all()


def test_a_model_that_nothing_moves_gives_finite_scores() -> None:
    plain = logits(500)
    assert np.isfinite(Odds.fit(plain, plain).score(plain, plain)).all()


def test_arrays_keep_it() -> None:
    odds = Odds.fit(plain := logits(500), moved(plain))
    again = Odds.from_arrays(odds.to_arrays("a_"), "a_")
    assert np.array_equal(again.score(plain, moved(plain)), odds.score(plain, moved(plain)))
