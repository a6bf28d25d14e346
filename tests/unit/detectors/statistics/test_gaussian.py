"""Against scikit-learn's Ledoit-Wolf covariance."""

from __future__ import annotations

import numpy as np
from sklearn.covariance import LedoitWolf

from detectors.statistics.gaussian import FAR, Gaussian

RNG = np.random.default_rng(0)
F = RNG.normal(size=(800, 5)).astype(np.float32) @ RNG.normal(size=(5, 5)).astype(np.float32)


def test_each_look_has_its_own_distance() -> None:
    gaussian = Gaussian.fit(F, [2, 3])
    low, center, high = np.quantile(F, [0.25, 0.5, 0.75], axis=0)
    z = (F - center) / ((high - low) / 1.349)
    for look, part in enumerate((z[:, :2], z[:, 2:])):
        precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(part).covariance_)
        expected = np.sqrt(np.einsum("ni,ij,nj->n", part, precision, part))
        assert np.allclose(gaussian.distances(F)[:, look], expected, rtol=1e-3)


def test_a_statistic_that_never_moves_says_nothing() -> None:
    still = np.column_stack([F, np.full(800, 3.0)]).astype(np.float32)
    gaussian = Gaussian.fit(still, [2, 4])
    moved = still.copy()
    moved[:, 5] = 99.0
    assert np.array_equal(gaussian.distances(moved), gaussian.distances(still))
    assert np.allclose(gaussian.distances(still), Gaussian.fit(F, [2, 3]).distances(F), rtol=1e-5)


def test_a_look_at_nothing_that_moves_is_always_zero() -> None:
    gaussian = Gaussian.fit(np.column_stack([F, np.zeros(800)]).astype(np.float32), [5, 1])
    assert not gaussian.distances(np.ones((3, 6), dtype=np.float32))[:, 1].any()


def test_far_out_and_no_numbers_are_cut() -> None:
    gaussian = Gaussian.fit(F, [5])
    rows = np.full((3, 5), [[1e30], [np.nan], [-np.inf]], dtype=np.float32)
    assert np.abs(gaussian.standard(rows)).max() == FAR
    assert np.isfinite(gaussian.distances(rows)).all()


def test_outliers_in_the_reference_change_little() -> None:
    dirty = F.copy()
    dirty[:8] = 1e6
    clean, found = Gaussian.fit(F, [5]), Gaussian.fit(dirty, [5])
    assert np.allclose(found.per_scale, clean.per_scale, rtol=0.1)
    assert np.allclose(found.standard(F[8:]), clean.standard(F[8:]), atol=0.3)
    assert np.corrcoef(clean.distances(F[8:])[:, 0], found.distances(F[8:])[:, 0])[0, 1] > 0.6
