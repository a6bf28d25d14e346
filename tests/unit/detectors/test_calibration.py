"""Tail maps and gates."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration import CERTAIN, Gate, TailMap
from models.batch import Array


def normal(n: int = 1000, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=n).astype(np.float32)


def test_it_follows_the_ranks_within_the_data_and_goes_on_falling_beyond() -> None:
    tail = TailMap.fit(normal())
    assert tail(np.array([-9.0], np.float32))[0] == 1.0
    assert tail(np.array([0.0], np.float32))[0] == pytest.approx(0.5, abs=0.05)
    assert tail(np.array([2.33], np.float32))[0] == pytest.approx(0.01, rel=0.5)
    far = tail(np.array([4.0, 5.0, 6.0, 50.0, 1e4, 1e8, 1e11], np.float32))
    assert (np.diff(far) < 0).all()
    assert far.min() > 0.0


def test_the_most_suspicious_scores_do_not_tie() -> None:
    tail = TailMap.fit(normal(500))
    fresh = np.sort(normal(20_000, seed=1))[-1000:]
    assert len(np.unique(tail(fresh))) == len(np.unique(fresh))


def test_fresh_rows_get_what_it_says() -> None:
    p = TailMap.fit(normal(4000))(normal(40_000, seed=1))
    for level in (0.5, 0.1, 0.01):
        assert (p <= level).mean() == pytest.approx(level, rel=0.25)


def test_certain_scores_and_what_is_no_number_map_to_zero_and_teach_nothing() -> None:
    scores = normal()
    tail = TailMap.fit(np.append(scores, np.array([CERTAIN, np.inf, CERTAIN * 4], np.float32)))
    same = TailMap.fit(scores)
    assert (tail.levels == same.levels).all()
    assert tail.scale == same.scale
    assert (tail(np.array([CERTAIN, np.inf, np.nan], np.float32)) == 0.0).all()
    assert np.float32(CERTAIN) == CERTAIN


def test_equal_scores_map_to_one_and_anything_above_is_rarer_than_all_seen() -> None:
    tail = TailMap.fit(np.zeros(99, dtype=np.float32))
    p = tail(np.array([-1.0, 0.0, 1e-3, 1.0, 100.0], np.float32))
    assert (p[:2] == 1.0).all()
    assert p[2] <= 1 / 100
    assert (np.diff(p[1:]) < 0).all()


def test_a_heap_of_equal_scores_below_the_rest_is_no_trouble() -> None:
    scores = np.zeros(1000, dtype=np.float32)
    scores[:50] = np.linspace(1, 2, 50)
    tail = TailMap.fit(scores)
    assert tail(np.array([0.0], np.float32))[0] == 1.0
    assert tail(np.array([0.5], np.float32))[0] <= 51 / 1001


def test_one_wild_honest_row_does_not_blind_the_stage() -> None:
    scores = normal()
    scores[0] = 1e6
    assert TailMap.fit(scores)(np.array([12.0], np.float32))[0] < 1e-4


def test_share_scales_it() -> None:
    scores, fresh = normal(), normal(100, seed=1)
    assert TailMap.fit(scores, share=0.1)(fresh) == pytest.approx(0.1 * TailMap.fit(scores)(fresh))


@pytest.mark.parametrize("scores", [[], [CERTAIN, np.inf], [1.0, np.nan]])
def test_scores_it_cannot_be_fitted_on(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="rank score"):
        TailMap.fit(np.array(scores, np.float32))


@pytest.mark.parametrize("scores", [normal(), np.zeros(50, np.float32), np.arange(300, dtype=np.float32) // 30])
@pytest.mark.parametrize("p", [0.9, 0.3, 0.05, 0.01, 1e-4, 1e-30, 1e-280])
def test_inverse_is_the_smallest_score_below(scores: Array, p: float) -> None:
    tail = TailMap.fit(scores)
    score = np.float32(tail.inverse(p))
    assert tail(np.array([score]))[0] < p
    assert tail(np.array([np.nextafter(score, np.float32(-np.inf))]))[0] >= p * (1 - 1e-6)


def test_inverse_at_the_ends() -> None:
    tail = TailMap.fit(normal(), share=0.1)
    assert tail.inverse(0.5) == -np.inf
    assert tail.inverse(0.0) == np.inf
    assert tail(np.array([tail.inverse(1e-300)], np.float32))[0] < 1e-300


def test_it_survives_a_file() -> None:
    tail, fresh = TailMap.fit(normal()), normal(100, seed=2)
    again = TailMap.from_arrays(tail.to_arrays("tail."), "tail.")
    assert (again(fresh) == tail(fresh)).all()


def test_gate_lets_in_its_share_and_leaves_out_what_is_settled() -> None:
    statistic = np.random.default_rng(0).uniform(size=1000)
    gate = Gate.fit(statistic, share=0.1, settled=0.005)
    assert gate(statistic).sum() == 100
    assert (statistic < gate.low).sum() == 5


def test_gate_needs_something_to_tell_rows_apart_by() -> None:
    with pytest.raises(ValueError, match="tell too few rows apart"):
        Gate.fit(np.ones(100), share=0.1, settled=0.005)


def test_gate_of_nearly_all() -> None:
    statistic = np.linspace(0.01, 1, 100)
    assert Gate.fit(statistic, share=0.999, settled=0.0)(statistic).all()
