from __future__ import annotations

import numpy as np
import pytest

from detectors.stacking import Scores, Stack
from models.batch import Array


def drawn(n: int = 1000, seed: int = 0) -> Scores:
    """Two attacks, each seen by one piece; a third piece sees nothing. Worn rows move the first piece a little."""
    rng = np.random.default_rng(seed)

    def rows(first: float, second: float) -> Array:
        return np.asarray(rng.normal([first, second, 0.0], size=(n, 3)))

    return Scores(rows(0.0, 0.0), rows(1.0, 0.0), (rows(6.0, 0.0), rows(0.0, 6.0)))


def score(stack: Stack, scores: Array) -> Array:
    logit = np.full(len(scores), stack.constant)
    for piece, rarity, weights in zip(stack.pieces, stack.rarities, stack.weights, strict=True):
        logit += np.interp(scores[:, piece], rarity.knots, rarity.pieces() @ weights)
    return logit


def test_pieces_that_see_attacks_count_and_the_other_is_left_out() -> None:
    stack = Stack.learn(drawn(), spare=0.01)
    assert stack.pieces == (0, 1)
    assert stack.shares.sum() == pytest.approx(1.0)
    assert (stack.shares > 0.2).all()
    assert (stack.weights >= 0.0).all()


def test_new_rows_of_both_attacks_are_found_and_honest_and_worn_ones_are_not() -> None:
    stack, fresh = Stack.learn(drawn(), spare=0.01), drawn(seed=1)
    assert min((score(stack, attack) > stack.floor).mean() for attack in fresh.attacked) > 0.97
    assert (score(stack, fresh.honest) > stack.floor).mean() < 0.05
    assert (score(stack, fresh.worn) > stack.floor).mean() < 0.06
    assert stack.found == pytest.approx(0.98, abs=0.02)


def test_a_higher_floor_is_paid_for_with_what_may_be_spared() -> None:
    rng = np.random.default_rng(0)
    worn = rng.normal(size=(1000, 1)) + 2.0
    weak = (rng.normal(size=(1000, 1)) + 2.5,)
    scores = Scores(rng.normal(size=(1000, 1)), worn, weak)
    strict, generous = (Stack.learn(scores, spare) for spare in (0.0, 0.5))
    assert generous.floor > strict.floor
    assert generous.found < strict.found - 0.2
    assert (score(generous, worn) > generous.floor).mean() < (score(strict, worn) > strict.floor).mean()


def test_few_honest_rows_are_used_for_rarities_and_weights_alike() -> None:
    few = drawn(60)
    assert Stack.learn(few, spare=0.01).rarities[0].knots.min() == pytest.approx(
        Stack.learn(Scores(few.honest[::-1], few.worn, few.attacked), spare=0.01).rarities[0].knots.min()
    )


def test_without_any_help_it_still_answers() -> None:
    rng = np.random.default_rng(0)
    honest, worn, attacked = rng.normal(size=(3, 500, 2))
    blind = Stack.learn(Scores(honest, worn, (attacked,)), spare=0.0)
    assert len(blind.pieces) >= 1
    assert np.isfinite(blind.weights).all()
    assert 0.0 <= blind.above <= 0.1
