"""Cuts and intervals, against scipy's distributions and the formulas on paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from detectors.conformal import (
    CertainRows,
    Guarantee,
    TooFewRows,
    allowed_below,
    beta_binomial,
    clopper_pearson,
    cut,
    rows_needed,
)


@pytest.mark.parametrize(
    ("budget", "guarantee", "rows"),
    [
        (0.005, "average", 199),
        (0.01, "average", 99),
        (0.05, "average", 19),
        (0.005, "set", 598),
        (0.01, "set", 299),
        (0.05, "set", 59),
    ],
)
def test_rows_needed(budget: float, guarantee: Guarantee, rows: int) -> None:
    assert rows_needed(budget, guarantee) == rows
    assert allowed_below(rows, budget, guarantee) == 1
    assert allowed_below(rows - 1, budget, guarantee) == 0
    with pytest.raises(TooFewRows, match=f"at least {rows} calibrate rows, found {rows - 1}"):
        cut(np.linspace(0.1, 1, rows - 1), budget, guarantee)


@pytest.mark.parametrize("budget", [0.005, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("n", [600, 1000, 5000])
def test_set_takes_the_largest_cut_that_keeps_its_word(budget: float, n: int) -> None:
    k = allowed_below(n, budget, "set")
    assert stats.beta.sf(budget, k, n + 1 - k) <= 0.05
    assert stats.beta.sf(budget, k + 1, n - k) > 0.05


def test_the_cut_is_the_kth_smallest() -> None:
    statistic = np.random.default_rng(0).permutation(np.linspace(0.001, 1, 1000))
    found = cut(statistic, 0.05)
    assert found.k == 50
    assert (statistic < found.value).sum() == 49
    assert found.mean_rate == 50 / 1001
    assert found.upper_rate == pytest.approx(stats.beta.ppf(0.95, 50, 951))


def test_rows_that_break_the_contract_leave_no_cut() -> None:
    statistic = np.linspace(0.001, 1, 1000)
    statistic[:9] = 0.0
    assert cut(statistic, 0.01).value > 0.0
    statistic[:10] = 0.0
    with pytest.raises(CertainRows, match=r"10 of 1000 calibrate rows break it, a budget of 0\.01 allows 9"):
        cut(statistic, 0.01)


@pytest.mark.parametrize("rows", [1, 40, 2000])
def test_beta_binomial(rows: int) -> None:
    expected = stats.betabinom.pmf(np.arange(rows + 1), rows, 5, 496)
    assert beta_binomial(5, 496, rows) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", [50, 1000, 20_000])
def test_the_predicted_interval_holds_95_percent_and_hardly_more(rows: int) -> None:
    found = cut(np.linspace(0.001, 1, 1000), 0.01)
    low, high = found.predicted(rows)
    law = stats.betabinom(rows, found.k, found.n + 1 - found.k)
    assert law.cdf(high) - law.cdf(low - 1) >= 0.95
    assert law.cdf(high - 1) < 0.975
    assert low == 0 or law.cdf(low - 1) < 0.025


@pytest.mark.parametrize(("hits", "rows"), [(0, 50), (3, 100), (50, 50), (7, 1000)])
def test_clopper_pearson(hits: int, rows: int) -> None:
    expected = stats.binomtest(hits, rows).proportion_ci(0.95, "exact")
    assert clopper_pearson(hits, rows) == pytest.approx((expected.low, expected.high))
