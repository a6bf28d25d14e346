"""Which pieces are kept: what helps on rows not learned from, and no more than it costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.choosing import SLIGHT, choose, dear
from detectors.options import Choice, Terms
from detectors.stacking import Scores
from models.batch import Array

# Pieces: one free that finds the first attack, two free of pure noise, a costly one that finds the second attack,
# a dearer one that finds no more.
COSTS = (0.0, 0.0, 0.0, 1.0, 3.0)
TERMS = Terms(COSTS, budgets=(0.05, 0.01), families=((0,), (1,)))


def rows(seed: int, shift: tuple[float, ...], n: int = 300) -> Array:
    drawn = np.random.default_rng(seed).normal(size=(n, len(COSTS)))
    drawn[:, 4] = drawn[:, 3]
    return np.asarray(drawn + np.array(shift))


def scores(odd: float = 2.0) -> Scores:
    """The second attack is a little odd by free evidence too, so that a gate can let it in."""
    honest, worn = rows(0, (0, 0, 0, 0, 0), 800), rows(1, (0, 0, 0, 0, 0))
    return Scores(honest, {"blur": worn}, (rows(2, (6, 0, 0, 0, 0)), rows(3, (odd, 0, 0, 6, 6))))


@pytest.fixture(scope="module")
def chosen() -> Choice:
    return choose(scores(), TERMS)


def test_the_piece_that_finds_each_attack_is_kept_and_noise_is_not(chosen: Choice) -> None:
    assert chosen.taken.free == (0,)
    assert chosen.taken.costly == (3,)
    assert chosen.taken.found.min() > 0.8


def test_it_is_the_cheapest_that_finds_as_much(chosen: Choice) -> None:
    best = max(option.value for option in chosen.frontier)
    assert chosen.taken.value >= best - SLIGHT
    enough = [option.cost for option in chosen.frontier if option.value >= best - SLIGHT]
    assert chosen.taken.cost == min(enough)


def test_the_frontier_gets_better_as_it_gets_dearer(chosen: Choice) -> None:
    costs = [option.cost for option in chosen.frontier]
    values = [option.value for option in chosen.frontier]
    assert costs == sorted(set(costs))
    assert values == sorted(set(values))
    assert chosen.frontier[0].cost == 1.0


@pytest.mark.parametrize("limit", [1.0, 1.07, 1.3])
def test_a_limit_is_kept_and_used(chosen: Choice, limit: float) -> None:
    within = choose(scores(), replace(TERMS, limit=limit)).taken
    assert within.cost <= limit
    assert within.value <= chosen.taken.value + SLIGHT
    if limit > 1.0:
        assert within.costly


def test_what_a_limit_leaves_lets_the_same_pieces_look_at_more_rows() -> None:
    thrifty = choose(scores(odd=2.5), TERMS).taken
    generous = choose(scores(odd=2.5), replace(TERMS, limit=4.0)).taken
    assert (generous.free, generous.costly) == (thrifty.free, thrifty.costly)
    assert generous.share > thrifty.share
    assert generous.value > thrifty.value


def test_what_other_things_spend_counts() -> None:
    assert choose(scores(), replace(TERMS, limit=1.2, spent=0.15)).taken.share <= 0.05


def test_all_rows_are_asked_where_the_free_evidence_singles_out_none() -> None:
    taken = choose(scores(odd=0.0), TERMS).taken
    assert taken.costly == (3,)
    assert taken.share == 1.0


def test_evidence_that_flags_mild_wear_is_not_worth_it() -> None:
    made = scores()
    shifted = made.worn["blur"].copy()
    shifted[:, 3] += 6.0
    taken = choose(replace(made, worn={"blur": shifted}), TERMS).taken
    assert 3 not in taken.costly


def test_wear_that_hides_attacks_is_dear_and_other_wear_is_not() -> None:
    made = scores()
    noisy = made.worn["blur"].copy()
    noisy[:, 0] += 6.0
    kinds = {"blur": made.worn["blur"], "noise": noisy}
    assert dear(replace(made, worn=kinds), TERMS) == ("noise",)
    assert dear(made, TERMS) == dear(replace(made, worn={}), TERMS) == ()


def test_free_evidence_alone_costs_nothing() -> None:
    taken = choose(scores(), replace(TERMS, costs=(0.0,) * 5)).taken
    assert taken.costly == ()
    assert taken.cost == 1.0
    assert set(taken.free) >= {0}


@settings(max_examples=3, deadline=None)
@given(st.permutations(range(len(COSTS))))
def test_the_order_of_the_pieces_does_not_matter(order: list[int]) -> None:
    made = scores()
    shuffled = Scores(
        made.honest[:, order],
        {kind: part[:, order] for kind, part in made.worn.items()},
        tuple(part[:, order] for part in made.attacked),
    )
    taken = choose(shuffled, replace(TERMS, costs=tuple(COSTS[i] for i in order), limit=1.2)).taken
    plain = choose(made, replace(TERMS, limit=1.2)).taken
    assert {order[piece] for piece in taken.free} == set(plain.free)
    assert taken.cost == pytest.approx(plain.cost)
