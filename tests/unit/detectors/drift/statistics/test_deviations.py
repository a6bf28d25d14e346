from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from detectors.drift.statistics.chi_square import chi_square
from detectors.drift.statistics.deviate import deviate
from detectors.drift.statistics.excess import excess
from detectors.drift.statistics.location import location
from detectors.drift.statistics.mmd import mmd


@pytest.mark.parametrize("seed", range(5))
def test_chi_square_is_scipy_s_of_the_table_of_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.integers(1, 200, 6), rng.integers(0, 40, 6)
    assert float(chi_square(p, q)) == pytest.approx(stats.chi2_contingency(np.stack([p, q])).statistic)


def test_chi_square_passes_over_bins_without_rows() -> None:
    p, q = np.array([10, 0, 30]), np.array([5, 0, 6])
    assert float(chi_square(p, q)) == pytest.approx(float(chi_square(p[[0, 2]], q[[0, 2]])))


@pytest.mark.parametrize("freedom", [1, 4, 15])
@pytest.mark.parametrize("tail", [0.5, 0.05, 1e-4])
def test_a_deviate_has_the_tail_of_its_chi_square(freedom: int, tail: float) -> None:
    found = float(deviate(np.array(stats.chi2.isf(tail, freedom)), freedom))
    assert found == pytest.approx(stats.norm.isf(tail), abs=0.15)


def test_location_is_the_z_of_two_means_with_the_reference_s_variance() -> None:
    rng = np.random.default_rng(0)
    p, q, scores = rng.integers(1, 200, 6), rng.integers(1, 40, 6), rng.normal(size=6)
    reference, window = np.repeat(scores, p), np.repeat(scores, q)
    error = np.sqrt(reference.var() * (1 / len(reference) + 1 / len(window)))
    assert float(location(p, q, scores)) == pytest.approx((window.mean() - reference.mean()) / error)


def test_location_without_rows_or_spread_tells_nothing() -> None:
    assert location(np.array([4, 5]), np.array([0, 0]), np.array([0.0, 1.0])) == 0.0
    assert location(np.array([4, 5]), np.array([9, 1]), np.array([0.0, 0.0])) == 0.0


@pytest.mark.parametrize("share", [0.002, 0.02, 0.3])
def test_excess_is_about_standard_normal_without_drift(share: float) -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.binomial(5000, share, 20_000), rng.binomial(1000, share, 20_000)
    found = excess(reference, np.array(5000), window, np.array(1000))
    assert abs(float(found.mean())) < 0.3
    assert 0.7 < float(found.std()) < 1.1


def test_one_row_of_a_kind_never_seen_is_no_excess_and_ten_are() -> None:
    assert float(excess(np.array(0), np.array(5000), np.array(1), np.array(50))) < 2.0
    assert float(excess(np.array(0), np.array(5000), np.array(10), np.array(50))) > 4.0


def test_mmd_is_the_squared_distance_of_means_and_estimates_a_gaussian_kernel_s() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 3)), rng.normal(0.5, 1.0, size=(200, 3))
    w, phase = rng.normal(size=(3, 4_000)), rng.uniform(0, 2 * np.pi, 4_000)
    found = mmd(np.cos(x @ w + phase).sum(0), np.array(300), np.cos(y @ w + phase).sum(0), np.array(200))

    def kernel(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(np.exp(-((a[:, None] - b[None]) ** 2).sum(-1) / 2).mean())

    assert float(found) == pytest.approx(kernel(x, x) + kernel(y, y) - 2 * kernel(x, y), rel=0.1)
    assert mmd(np.ones(4), np.array(3), np.zeros(4), np.array(0)) == 0.0
