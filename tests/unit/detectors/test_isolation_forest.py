"""Isolation trees in arrays: the scores of scikit-learn's, quicker."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest as Theirs

from detectors.base import Reference, View
from detectors.isolation import Forest, expected_length
from detectors.isolation_forest import IsolationForestSpec
from models.batch import Array, Batch
from tests import tiny


def rows(n: int, seed: int = 0) -> Array:
    """Two numbers, an integer, a flag and a constant."""
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(n, 2)), rng.poisson(3.0, (n, 1)), rng.integers(0, 2, (n, 1)), np.ones((n, 1))]
    return np.asarray(np.concatenate(parts, axis=1), dtype=np.float32)


def ours(theirs: Any) -> Forest:
    """scikit-learn's trees as a forest here: children moved side by side, in the order that they are met."""
    trees = [estimator.tree_ for estimator in theirs.estimators_]
    size = max(tree.node_count for tree in trees)
    column, child = (np.zeros((len(trees), size), dtype=np.int32) for _ in range(2))
    threshold, length = (np.zeros((len(trees), size)) for _ in range(2))
    for t, (tree, features) in enumerate(zip(trees, theirs.estimators_features_, strict=True)):
        todo, count = [(0, 0, 0)], 1
        while todo:
            node, index, depth = todo.pop()
            if tree.children_left[node] < 0:
                added = float(expected_length(np.array(tree.n_node_samples[node])))
                threshold[t, index], child[t, index], length[t, index] = np.inf, index, depth + added
                continue
            column[t, index] = features[tree.feature[node]]
            threshold[t, index], child[t, index] = tree.threshold[node], count
            todo += [(tree.children_left[node], count, depth + 1), (tree.children_right[node], count + 1, depth + 1)]
            count += 2
    depth = max(tree.max_depth for tree in trees)
    return Forest(column, threshold, child, length, depth, float(expected_length(np.array(theirs.max_samples_))))


@pytest.mark.parametrize("sample", [2, 64, 256])
def test_scores_as_scikit_learn_does(sample: int) -> None:
    theirs = Theirs(n_estimators=50, max_samples=sample, random_state=0).fit(rows(1000))
    fresh = rows(300, seed=1) * 1.5
    assert np.abs(ours(theirs).score(fresh) + theirs.score_samples(fresh)).max() < 1e-6


def test_its_own_trees_rank_rows_as_scikit_learns_do() -> None:
    x, fresh = rows(1000), np.concatenate([rows(300, seed=1), 3.0 * rows(30, seed=2)])
    own = Forest.grow(x, 100, 256, np.random.default_rng(0)).score(fresh)
    theirs = -Theirs(n_estimators=100, max_samples=256, random_state=0).fit(x).score_samples(fresh)
    assert np.corrcoef(own, theirs)[0, 1] > 0.95
    assert np.abs(own - theirs).max() < 0.05


def test_a_row_costs_microseconds() -> None:
    forest = Forest.grow(rows(2000), 100, 256, np.random.default_rng(0))
    fresh = rows(512, seed=1)
    forest.score(fresh)
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        forest.score(fresh)
        spent.append(time.perf_counter() - started)
    assert min(spent) / len(fresh) < 300e-6


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=2, max_size=2), min_size=2, max_size=40),
    st.integers(0, 5),
)
def test_scores_of_any_rows_lie_between_0_and_1(values: list[list[float]], seed: int) -> None:
    x = np.array(values, dtype=np.float32)
    forest = Forest.grow(x, 5, 16, np.random.default_rng(seed))
    scores = forest.score(x)
    assert ((scores > 0.0) & (scores <= 1.0)).all()


def test_every_split_parts_its_rows() -> None:
    x = np.nextafter(np.float32(1.0), np.array([[0.0], [2.0]], dtype=np.float32)).astype(np.float32)
    forest = Forest.grow(np.concatenate([x, x]), 50, 4, np.random.default_rng(0))
    parted = forest.child[:, 0] > 0
    assert parted.all()
    assert (forest.threshold[:, 0] >= x.min()).all()
    assert (forest.threshold[:, 0] < x.max()).all()


def test_a_missing_value_is_a_middling_one() -> None:
    case = tiny.table(missing=True)
    x = case.reference.view.x.copy()
    x[:, 3] = np.nan  # never known
    spec = IsolationForestSpec(trees=20)
    detector = spec.build(spec.fit(Reference(View(Batch(x), case.net), case.spec)), case.spec)
    fresh = case.rows.x.copy()
    middle = [0.0 if column == 3 else np.nanmedian(x[:, column]) for column in range(x.shape[1])]
    filled = np.where(np.isnan(fresh), middle, fresh)
    scores = [detector.score(View(Batch(part.astype(np.float32)), case.net)) for part in (fresh, filled)]
    assert np.array_equal(scores[0], scores[1])


def test_integers_are_numbers() -> None:
    case = tiny.table()
    x = np.rint(10 * case.reference.view.x).astype(np.int64)
    spec = IsolationForestSpec(trees=20)
    detector = spec.build(spec.fit(Reference(View(Batch(x), case.net), case.spec)), case.spec)
    far = detector.score(View(Batch(50 * x[:20]), case.net))
    assert far.min() > np.quantile(detector.score(View(Batch(x[:200]), case.net)), 0.9)


def test_the_length_of_an_unsuccessful_search() -> None:
    assert expected_length(np.array([1, 2])).tolist() == [0.0, 1.0]
    assert expected_length(np.array([256]))[0] == pytest.approx(10.2447, abs=1e-3)
