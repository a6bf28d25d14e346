"""Against scikit-learn's covariance, layer by layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from detectors.base import Reference, Unsuitable, View
from detectors.deep_mahalanobis import DeepMahalanobis, DeepMahalanobisSpec
from models.batch import Array
from tests import tiny

CASE = tiny.image()


def built(spec: DeepMahalanobisSpec, reference: Reference = CASE.reference) -> DeepMahalanobis:
    detector = spec.build(spec.fit(reference), reference.spec)
    assert isinstance(detector, DeepMahalanobis)
    return detector


def expected(layer: str) -> Array:
    """Squared distances of honest rows to the class that the model predicts."""
    outputs, rows = CASE.reference.view.outputs, CASE.net.predict(CASE.rows)
    assert outputs.logits is not None
    assert rows.logits is not None
    fitted = np.sort(np.random.default_rng(0).permutation(tiny.FITTED)[tiny.FITTED // 4 :])
    z, y = outputs.layers[layer][fitted].astype(np.float64), outputs.logits.argmax(axis=1)[fitted]
    means = np.stack([z[y == c].mean(axis=0) for c in range(10)])
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(z - means[y]).covariance_)
    gap = rows.layers[layer] - means[rows.logits.argmax(axis=1)]
    return np.asarray(np.einsum("ni,ij,nj->n", gap, precision, gap))


def test_a_layers_score_follows_the_distance() -> None:
    for index, layer in enumerate(("before", "hidden")):
        detector = built(DeepMahalanobisSpec(layer=index))
        score = detector.score(View(CASE.rows, CASE.net))
        scale = detector.layers[index]
        assert np.allclose(score / scale.per_range + scale.middle, np.sqrt(expected(layer)), rtol=1e-3)


def test_the_largest_layer_counts() -> None:
    view = View(CASE.rows, CASE.net)
    each = [built(DeepMahalanobisSpec(layer=index)).score(view) for index in (0, 1)]
    assert np.array_equal(built(DeepMahalanobisSpec()).score(view), np.maximum(*each))
    assert np.array_equal(built(DeepMahalanobisSpec(layer=-1)).score(view), each[1])


def test_one_honest_row_in_a_hundred_scores_above_one() -> None:
    score = built(DeepMahalanobisSpec(layer=0)).score(CASE.reference.view)
    assert 0.0 < (score > 1.0).mean() < 0.03
    assert abs(np.median(score)) < 0.2


def test_names_tell_layers_apart() -> None:
    assert [built(DeepMahalanobisSpec()).name, built(DeepMahalanobisSpec(layer=-1)).name] == [
        "deep_mahalanobis",
        "deep_mahalanobis[-1]",
    ]


def test_says_which_layers_it_measures_in() -> None:
    arrays = DeepMahalanobisSpec().fit(CASE.reference)
    assert DeepMahalanobisSpec().notes(arrays, CASE.spec) == ("deep_mahalanobis: layers before, hidden",)
    assert DeepMahalanobisSpec(layer=1).notes(arrays, CASE.spec) == ("deep_mahalanobis: layers hidden",)


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unsuitable, match="layer: expected all, or -2 to 1, found 2"):
        DeepMahalanobisSpec(layer=2).fit(CASE.reference)


def test_few_rows_are_refused() -> None:
    few = replace(CASE.reference, view=CASE.reference.view.take(np.arange(49)))
    with pytest.raises(Unsuitable, match="needs 50 reference rows or more, not 49"):
        DeepMahalanobisSpec().fit(few)


def test_a_class_without_rows_is_far_from_nothing_in_particular() -> None:
    logits = CASE.reference.view.outputs.logits
    assert logits is not None
    kept = np.flatnonzero(logits.argmax(axis=1) != 3)
    detector = built(DeepMahalanobisSpec(), replace(CASE.reference, view=CASE.reference.view.take(kept)))
    assert np.isfinite(detector.score(CASE.reference.view)).all()
