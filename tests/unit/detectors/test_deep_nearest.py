"""Neighbors in layers, against scikit-learn's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize

from detectors.base import Unsuitable, View
from detectors.deep_nearest import DeepNearest, DeepNearestSpec
from detectors.local_intrinsic_dimension import LocalIntrinsicDimensionSpec, dimension
from detectors.neighbors import Neighbors
from tests import tiny

CASE = tiny.image()
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("directions", [True, False])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_the_nearest_rows(directions: bool, k: int) -> None:
    kept, rows = RNG.normal(size=(40, 6)).astype(np.float32), RNG.normal(size=(300, 6)).astype(np.float32)
    scaler = StandardScaler().fit(kept)
    shape = (lambda x: normalize(scaler.transform(x))) if directions else scaler.transform
    expected, indices = NearestNeighbors(n_neighbors=k).fit(shape(kept)).kneighbors(shape(rows))
    found, squares = Neighbors.fit(kept, directions).nearest(rows, k)
    assert np.array_equal(found, indices)
    assert np.allclose(np.sqrt(squares), expected, atol=1e-3)


def test_what_is_no_number_is_far_from_all() -> None:
    neighbors = Neighbors.fit(RNG.normal(size=(40, 6)).astype(np.float32), directions=False)
    _, squares = neighbors.nearest(np.full((1, 6), [np.nan, np.inf, 0, 0, 0, 0], dtype=np.float32), 3)
    assert np.isfinite(squares).all()
    assert squares.min() > 1e9


def test_the_score_is_the_share_of_neighbors_of_another_class() -> None:
    spec = DeepNearestSpec(k=10, keep=500)
    detector = spec.build(spec.fit(CASE.reference), CASE.spec)
    assert isinstance(detector, DeepNearest)
    view = View(CASE.rows, CASE.net)
    score, logits = detector.score(view), view.outputs.logits
    assert logits is not None
    shares = []
    for name, neighbors in zip(detector.names, detector.layers, strict=True):
        nearest, _ = neighbors.nearest(view.outputs.layers[name], 10)
        shares.append((detector.labels[nearest] != logits.argmax(axis=1)[:, None]).mean(axis=1))
    assert score == pytest.approx(np.mean(shares, axis=0))
    assert len(detector.labels) == 500


def test_without_labels_neighbors_are_of_the_predicted_class() -> None:
    arrays = DeepNearestSpec().fit(replace(CASE.reference, y=None))
    logits = CASE.reference.view.outputs.logits
    assert logits is not None
    assert np.array_equal(arrays["labels"], logits.argmax(axis=1))


@pytest.mark.parametrize("dimensions", [2, 8])
def test_the_dimension_of_a_cube_is_found(dimensions: int) -> None:
    kept = RNG.random((4000, dimensions)) - 0.5
    squares = np.sort((kept**2).sum(axis=1))[None, :50]
    assert dimension(squares.astype(np.float32))[0] == pytest.approx(dimensions, rel=0.35)


def test_the_dimension_of_copies_is_finite() -> None:
    assert np.isfinite(dimension(np.zeros((2, 5), dtype=np.float32))).all()


def test_dimension_needs_rows() -> None:
    few = replace(CASE.reference, view=CASE.reference.view.take(np.arange(79)))
    with pytest.raises(Unsuitable, match="needs 80 reference rows or more, not 79"):
        LocalIntrinsicDimensionSpec().fit(few)


def test_what_is_kept_is_told() -> None:
    for spec, says in (
        (DeepNearestSpec(keep=100), "deep_nearest: keeps 100 reference rows in 2 layers"),
        (LocalIntrinsicDimensionSpec(), "local_intrinsic_dimension: keeps 750 reference rows in 2 layers"),
    ):
        assert spec.notes(spec.fit(CASE.reference), CASE.spec) == (says,)
