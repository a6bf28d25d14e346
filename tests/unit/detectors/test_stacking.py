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

    return Scores(rows(0.0, 0.0), {"blur": rows(1.0, 0.0)}, (rows(6.0, 0.0), rows(0.0, 6.0)))


def score(stack: Stack, scores: Array) -> Array:
    logit = np.full(len(scores), stack.constant)
    for piece, rarity, weights in zip(stack.pieces, stack.rarities, stack.weights, strict=True):
        logit += np.interp(scores[:, piece], rarity.knots, rarity.pieces() @ weights)
    return logit


def test_pieces_that_see_attacks_count_and_the_other_is_left_out() -> None:
    stack = Stack.learn(drawn())
    assert stack.pieces == (0, 1)
    assert stack.shares.sum() == pytest.approx(1.0)
    assert (stack.shares > 0.2).all()
    assert (stack.weights >= 0.0).all()


def test_new_rows_of_both_attacks_are_found_and_honest_and_worn_ones_are_not() -> None:
    stack, fresh = Stack.learn(drawn()), drawn(seed=1)
    cut = np.quantile(score(stack, fresh.honest), 0.95)
    assert min((score(stack, attack) > cut).mean() for attack in fresh.attacked) > 0.97
    assert (score(stack, fresh.worn["blur"]) > cut).mean() < 0.2
    assert stack.found > 0.97


def test_few_honest_rows_are_used_for_rarities_and_weights_alike() -> None:
    few = drawn(60)
    assert Stack.learn(few).rarities[0].knots.min() == pytest.approx(
        Stack.learn(Scores(few.honest[::-1], few.worn, few.attacked)).rarities[0].knots.min()
    )


def test_without_any_help_it_still_answers() -> None:
    rng = np.random.default_rng(0)
    honest, worn, attacked = rng.normal(size=(3, 500, 2))
    blind = Stack.learn(Scores(honest, {"blur": worn}, (attacked,)))
    assert len(blind.pieces) >= 1
    assert np.isfinite(blind.weights).all()
    assert 0.0 <= blind.found <= 0.1
