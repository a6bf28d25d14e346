"""Votes, abstention and certified radii."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from defenses.base import Unsuitable
from defenses.randomized_smoothing import ABSTAIN, at_least, certify, decide, votes
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, InputSpec


class HalfSpace:
    """Class 1 where the first value is positive: its certified radius is the distance to 0."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def __init__(self, dtype: str = "float64", with_logits: bool = True) -> None:
        self.spec = InputSpec("table", np.dtype(dtype), (3,), None)
        self.with_logits = with_logits
        self.most_rows = 0

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        assert all(len(array) == len(batch.x) for array in batch.extras.values())
        self.most_rows = max(self.most_rows, len(batch.x))
        score = np.stack([np.zeros(len(batch.x)), batch.x[:, 0]], axis=1).astype(np.float32)
        return Outputs({"y": score}, score if self.with_logits else None)


def batch(*firsts: float) -> Batch:
    return Batch(np.array([[first, 0.0, 0.0] for first in firsts]), {"id": np.arange(len(firsts))})


def test_votes_follow_the_noise() -> None:
    counts = votes(HalfSpace(), batch(-1.0, 0.0, 0.5), sigma=0.5, samples=4000)
    assert counts.shape == (3, 2)
    assert (counts.sum(axis=1) == 4000).all()
    assert np.allclose(counts[:, 1] / 4000, norm.cdf([-2.0, 0.0, 1.0]), atol=0.03)


def test_a_row_gets_the_same_votes_alone_and_among_others() -> None:
    among = votes(HalfSpace(), batch(0.1, 0.2, 0.3), sigma=0.5, samples=300, seed=4)
    assert np.array_equal(votes(HalfSpace(), batch(0.2), sigma=0.5, samples=300, seed=4)[0], among[1])
    assert not np.array_equal(votes(HalfSpace(), batch(0.2), sigma=0.5, samples=300, seed=5)[0], among[1])


def test_passes_stay_small() -> None:
    backend = HalfSpace()
    votes(backend, batch(0.1), sigma=0.5, samples=1000)
    assert backend.most_rows == 256


def test_the_radius_is_below_the_distance_to_the_border_and_near_it() -> None:
    x, sigma = batch(0.4, 0.8), 0.5
    selection, counts = (votes(HalfSpace(), x, sigma, samples, seed) for seed, samples in ((1, 100), (2, 20_000)))
    smoothed = certify(selection, counts, sigma)
    assert smoothed.classes.tolist() == [1, 1]
    assert (smoothed.radius <= [0.4, 0.8]).all()
    assert (smoothed.radius > [0.35, 0.7]).all()


def test_close_votes_are_no_answer() -> None:
    counts = np.array([[52, 48, 0], [90, 10, 0], [0, 0, 100]])
    assert decide(counts).tolist() == [ABSTAIN, 0, 2]
    smoothed = certify(counts, counts, sigma=1.0)
    assert smoothed.classes.tolist() == [ABSTAIN, 0, 2]
    assert smoothed.radius[0] == 0.0 < smoothed.radius[1] < smoothed.radius[2]


def test_the_lower_bound_is_where_so_many_hits_are_just_too_many() -> None:
    hits: Array = np.array([0, 7, 30])
    low = at_least(hits, np.array([30, 30, 30]), alpha=0.01)
    assert low[0] == 0.0
    assert np.allclose(binom.sf(hits[1:] - 1, 30, low[1:]), 0.01)


def test_needs_real_numbers_and_classes() -> None:
    whole = Batch(np.ones((1, 3), dtype=np.int64))
    with pytest.raises(Unsuitable, match="this input holds int64"):
        votes(HalfSpace("int64"), whole, 0.5, 10)
    with pytest.raises(Unsuitable, match="class logits"):
        votes(HalfSpace(with_logits=False), batch(1.0), 0.5, 10)
