"""Against scikit-learn's principal components."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from detectors.subspace import Subspace
from models.batch import Array


def low_rank(n: int = 400, d: int = 60, noise: float = 0.01) -> Array:
    rng = np.random.default_rng(0)
    inside = rng.normal(size=(n, 10)) * np.linspace(3.0, 1.0, 10)
    z = inside @ rng.normal(size=(10, d)) + noise * rng.normal(size=(n, d))
    centered: Array = (z - z.mean(axis=0)).astype(np.float32)
    return centered


def test_spans_what_scikit_learns_components_span() -> None:
    z = low_rank()
    subspace = Subspace.fit(z, 5)
    assert subspace is not None
    components = PCA(5).fit(z).components_
    assert np.allclose(subspace.basis @ subspace.basis.T, components.T @ components, atol=1e-4)


def test_lengths_are_kept() -> None:
    z = low_rank()
    subspace = Subspace.fit(z, 5)
    assert subspace is not None
    found = subspace(z)
    assert found.shape == (400, 6)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), np.linalg.norm(z, axis=1), rtol=1e-4)


def test_a_row_outside_shows_in_the_last_coordinate() -> None:
    z = low_rank()
    subspace = Subspace.fit(z, 10)
    assert subspace is not None
    odd = np.random.default_rng(1).normal(size=(1, 60)).astype(np.float32)
    assert subspace(odd)[0, -1] > 20 * subspace(z)[:, -1].max()


def test_hardly_more_coordinates_than_components_stay_as_they_are() -> None:
    assert Subspace.fit(low_rank(d=33), 32) is None
    assert Subspace.fit(low_rank(d=34), 32) is not None


def test_a_row_maps_alone_as_among_others() -> None:
    z = low_rank()
    subspace = Subspace.fit(z, 8)
    assert subspace is not None
    assert np.allclose(subspace(z[3:4]), subspace(z)[3:4], rtol=1e-5, atol=1e-5)
