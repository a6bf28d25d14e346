"""Rows from outside the domain, and the evidence that is chosen to find them."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.training.guarding import Looked, choose_guard
from gateway.training.outside import strangers
from models.batch import Array, InputSpec
from tests import tiny


@pytest.mark.parametrize(
    "spec", [tiny.image().spec, tiny.image("NHWC", "uint8").spec, tiny.table().spec, tiny.series().spec]
)
def test_strangers_have_the_shape_and_the_dtype_of_rows(spec: InputSpec) -> None:
    random = np.random.default_rng(0)
    x = (random.integers(0, 17, (40, *spec.shape)) / (1 if spec.dtype.kind == "u" else 16)).astype(spec.dtype)
    made = strangers(x, spec, seed=0)
    assert len(made) >= 2
    for rows in made.values():
        assert rows.shape == x.shape
        assert rows.dtype == x.dtype
        assert np.mean(rows != x) > 0.01
    again = strangers(x, spec, seed=0)
    assert all(np.array_equal(rows, again[kind]) for kind, rows in made.items())


def test_values_of_strangers_occur_in_honest_rows() -> None:
    x = np.array(tiny.image().rows.x[:50])
    for kind in ("noise", "constant", "shuffled"):
        assert np.isin(strangers(x, tiny.image().spec, 0)[kind], x).all()


def test_missing_values_are_no_obstacle() -> None:
    x = np.array(tiny.table(missing=True).rows.x[:50])
    for rows in strangers(x, tiny.table(missing=True).spec, 0).values():
        assert np.isfinite(rows).any()


def look(noise: float, inverted: float, worn: float = 0.0) -> Looked:
    def rows(shift: float, seed: int) -> Array:
        return np.random.default_rng(seed).normal(size=400) + shift

    return Looked(rows(0, 0), {"blur": rows(worn, 1)}, {"noise": rows(noise, 2), "inverted": rows(inverted, 3)})


def test_evidence_that_finds_all_kinds_is_the_guard() -> None:
    guard = choose_guard({"one": look(20, 0), "both": look(20, 20), "none": look(0, 0)}, budget=0.01)
    assert guard.pieces == ("both",)
    assert guard.found == {"noise": 1.0, "inverted": 1.0}


def test_two_pieces_find_what_neither_does_alone() -> None:
    guard = choose_guard({"one": look(30, 0), "other": look(0, 30), "none": look(0, 0)}, budget=0.01)
    assert set(guard.pieces) == {"one", "other"}


def test_evidence_that_takes_mild_wear_for_strange_is_not() -> None:
    guard = choose_guard({"nervous": look(30, 30, worn=30), "calm": look(20, 20)}, budget=0.01)
    assert guard.pieces == ("calm",)


def test_nothing_helps_and_there_is_no_guard() -> None:
    assert choose_guard({"none": look(0, 0)}, budget=0.01).pieces == ()
