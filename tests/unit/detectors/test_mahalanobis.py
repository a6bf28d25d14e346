"""Against scikit-learn's Ledoit-Wolf covariance and the formula written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.covariance import LedoitWolf

from detectors.base import View
from detectors.mahalanobis import MahalanobisSpec
from detectors.space import Space
from tests import tiny


def test_is_the_smallest_distance_over_classes() -> None:
    case = tiny.image()
    z = Space.fit(case.reference).coordinates(case.reference.view).astype(np.float64)
    y = case.reference.labels
    means = np.stack([z[y == c].mean(axis=0) for c in range(10)])
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(z - means[y]).covariance_)
    rows = Space.fit(case.reference).coordinates(View(case.rows, case.net))
    gaps = rows[:, None] - means
    expected = np.einsum("ncd,de,nce->nc", gaps, precision, gaps).min(axis=1)
    arrays = MahalanobisSpec().fit(case.reference)
    score = MahalanobisSpec().build(arrays, case.spec).score(View(case.rows, case.net))
    assert np.allclose(score, expected, rtol=1e-3)


def test_classes_without_rows_are_left_out() -> None:
    case = tiny.image()
    y = np.where(case.reference.labels < 5, 2, 7_000_000)
    arrays = MahalanobisSpec().fit(replace(case.reference, y=y))
    assert arrays["means"].shape == (2, tiny.HIDDEN + 1)


def test_without_labels_or_logits_all_rows_are_one_class() -> None:
    case = tiny.image().with_net(logits=False)
    arrays = MahalanobisSpec().fit(replace(case.reference, y=None))
    assert len(arrays["means"]) == 1


def test_a_regression_target_is_no_class() -> None:
    case = tiny.image().with_net(logits=False)
    target = np.random.default_rng(0).normal(size=tiny.FITTED)
    assert len(MahalanobisSpec().fit(replace(case.reference, y=target))["means"]) == 1


def test_without_labels_classes_are_the_predicted_ones() -> None:
    case = tiny.image()
    assert len(MahalanobisSpec().fit(replace(case.reference, y=None))["means"]) == 10


def test_says_what_it_measures_on() -> None:
    case = tiny.image()
    notes = MahalanobisSpec().notes(MahalanobisSpec().fit(case.reference), case.spec)
    assert notes == ("distances are measured on the model's 32 penultimate features", "mahalanobis: 10 class means")
