from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from detectors.drift.statistics.jensen_shannon import jensen_shannon
from detectors.drift.statistics.kolmogorov_smirnov import kolmogorov_smirnov
from detectors.drift.statistics.psi import psi
from detectors.drift.statistics.wasserstein import wasserstein
from models.batch import Array

MEASURES = (psi, jensen_shannon, kolmogorov_smirnov, wasserstein)


def counts(seed: int, rows: int, bins: int = 7) -> Array:
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, rng.dirichlet(np.ones(bins)))


def values(of: Array) -> Array:
    return np.repeat(np.arange(len(of)), of)


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_shares_are_no_distance_and_a_side_without_rows_tells_nothing(measure: type) -> None:
    reference = counts(0, 500)
    assert measure(reference, 10_000 * reference) == pytest.approx(0.0, abs=0.03)
    assert measure(reference, np.zeros_like(reference)) == 0.0
    assert measure(np.zeros_like(reference), reference) == 0.0


@pytest.mark.parametrize("measure", MEASURES)
def test_windows_may_lie_along_any_leading_axes(measure: type) -> None:
    reference = np.stack([counts(seed, 400) for seed in range(3)])
    windows = np.stack([[counts(10 * place + seed, 90) for seed in range(3)] for place in range(2)])
    found = measure(reference, windows)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(float(measure(reference[2], windows[1, 2])))


@pytest.mark.parametrize("seed", range(5))
def test_jensen_shannon_is_the_square_of_scipy_s(seed: int) -> None:
    p, q = counts(seed, 300), counts(seed + 100, 80)
    assert float(jensen_shannon(p, q)) == pytest.approx(jensenshannon(p, q, base=2) ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_kolmogorov_smirnov_is_scipy_s_where_bins_are_values(seed: int) -> None:
    p, q = counts(seed, 300), counts(seed + 100, 80)
    assert float(kolmogorov_smirnov(p, q)) == pytest.approx(stats.ks_2samp(values(p), values(q)).statistic)


@pytest.mark.parametrize("seed", range(5))
def test_wasserstein_is_scipy_s_between_middle_ranks(seed: int) -> None:
    p, q = counts(seed, 300), counts(seed + 100, 80)
    places = (np.cumsum(p) - p / 2) / p.sum()
    assert float(wasserstein(p, q)) == pytest.approx(stats.wasserstein_distance(places, places, p, q))


def test_psi_is_the_sum_of_both_relative_entropies() -> None:
    p, q = counts(1, 100_000) + 1000, counts(2, 100_000) + 1000
    expected = stats.entropy(p, q) + stats.entropy(q, p)
    assert float(psi(p, q)) == pytest.approx(expected, rel=1e-3)


def test_psi_of_an_empty_bin_is_finite() -> None:
    assert 0.5 < float(psi(np.array([50, 50]), np.array([100, 0]))) < 10.0
