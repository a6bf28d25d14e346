"""Against scikit-learn's neighbors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from detectors.base import View
from detectors.nearest import NearestSpec
from detectors.space import Space
from models.batch import Batch
from tests import tiny


@pytest.mark.parametrize("k", [1, 5, 40])
def test_is_the_distance_to_the_kth_neighbor(k: int) -> None:
    case = tiny.image()
    space = Space.fit(case.reference)
    assert len(space.mean) <= 33, "all coordinates are kept"
    neighbors = NearestNeighbors(n_neighbors=k).fit(space.coordinates(case.reference.view))
    expected = neighbors.kneighbors(space.coordinates(View(case.rows, case.net)))[0][:, -1]
    spec = NearestSpec(k=k)
    score = spec.build(spec.fit(case.reference), case.spec).score(View(case.rows, case.net))
    assert np.allclose(score, expected, rtol=1e-4)


def test_a_kept_row_is_at_no_distance_from_itself() -> None:
    case = tiny.image()
    spec = NearestSpec(k=1)
    score = spec.build(spec.fit(case.reference), case.spec).score(case.reference.view)
    assert len(score) > 256  # more than one block
    assert score.max() < 1e-5


def test_keeps_a_seeded_selection() -> None:
    case = tiny.image()
    spec = NearestSpec(keep=100)
    arrays = spec.fit(case.reference)
    assert arrays["kept"].shape == (100, tiny.HIDDEN + 1)
    assert np.array_equal(arrays["kept"], spec.fit(case.reference)["kept"])
    assert spec.notes(arrays, case.spec)[1] == "nearest: keeps 100 of 1000 reference rows"


def test_with_fewer_rows_than_k_the_farthest_counts() -> None:
    case = tiny.image()
    spec = NearestSpec(k=50, keep=10)
    score = spec.build(spec.fit(case.reference), case.spec).score(View(Batch(case.rows.x[:2]), case.net))
    assert np.isfinite(score).all()
