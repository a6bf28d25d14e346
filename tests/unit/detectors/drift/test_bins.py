from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from detectors.drift.bins import Bins, normal_scores
from detectors.drift.cells import ABOVE, BELOW, BINS, INNER, MISSING, RARE
from models.batch import Array


def fitted(values: Array) -> Bins:
    return Bins.fit([values])


def cells(bins: Bins, *values: float) -> list[int]:
    return [int(cell) for cell in bins([np.array(values)])[:, 0]]


def test_bins_of_numbers_hold_equally_many_rows() -> None:
    values = np.random.default_rng(0).normal(size=1600)
    counts = np.bincount(fitted(values)([values])[:, 0], minlength=MISSING + 1)
    assert counts[INNER] == pytest.approx(100, abs=2)
    assert counts.sum() == counts[INNER].sum()


def test_what_lies_beside_is_counted_apart() -> None:
    bins = fitted(np.linspace(0.0, 1.0, 1000))
    assert cells(bins, -0.1, 0.0, 1.0, 1.1, np.nan, -np.inf, np.inf) == [BELOW, 1, BINS, ABOVE, MISSING, BELOW, ABOVE]


def test_few_values_are_bins_of_their_own_and_between_them_is_rare() -> None:
    bins = fitted(np.repeat([1.0, 2.0, 4.0], 100))
    assert cells(bins, 1.0, 2.0, 4.0) == [1, 2, 3]
    assert cells(bins, 1.5, 1.999, 2.001, 3.0, 0.999, 4.001) == [RARE, RARE, RARE, RARE, BELOW, ABOVE]


def test_a_value_that_many_rows_share_is_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(4000) < 0.5, 40.0, rng.normal(40.0, 10.0, 4000))
    bins = fitted(values)
    just_under, at, just_over = cells(bins, 39.999, 40.0, 40.001)
    assert just_under != at != just_over
    assert np.isin(40.0, values[bins([values])[:, 0] == at]).all()
    assert set(values[bins([values])[:, 0] == at]) == {40.0}


def test_seldom_values_are_rare() -> None:
    bins = fitted(np.append(np.zeros(1000), [5.0] * 3))
    assert cells(bins, 0.0, 5.0, 6.0) == [1, RARE, ABOVE]


def test_a_series_without_values_counts_missing_ones() -> None:
    bins = fitted(np.full(10, np.nan))
    assert cells(bins, np.nan, 1.0) == [MISSING, RARE]


def test_a_column_that_never_changed() -> None:
    assert cells(fitted(np.full(50, 7.0)), 7.0, 6.9, 7.1) == [1, BELOW, ABOVE]


def test_survives_arrays() -> None:
    values = np.random.default_rng(0).normal(size=(2, 300))
    bins = Bins.fit(list(values))
    assert (Bins.from_arrays(bins.to_arrays())(list(values)) == bins(list(values))).all()


def test_scores_are_normal_quantiles_of_middle_ranks() -> None:
    counts = np.zeros((1, MISSING + 1), dtype=np.int64)
    counts[0, 1:5] = 25
    scores = normal_scores(counts)[0]
    assert scores[1:5] == pytest.approx(stats.norm.ppf([0.125, 0.375, 0.625, 0.875]))
    assert scores[BELOW] == scores[1]
    assert scores[ABOVE] == scores[4]
    assert scores[RARE] == scores[MISSING] == 0.0


@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_few_and_many_values_are_counted_alike(rows: int) -> None:
    rng = np.random.default_rng(rows)
    series = [rng.normal(size=2000), rng.integers(0, 5, 2000).astype(np.float64), rng.exponential(size=2000)]
    series[2][rng.random(2000) < 0.2] = np.nan
    bins = Bins.fit(series)
    odd = [
        np.append(values, [np.inf, -np.inf, np.nan, *edges]) for values, edges in zip(series, bins.edges, strict=True)
    ]
    together = bins(odd)
    parts = [bins([values[start : start + rows] for values in odd]) for start in range(0, len(odd[0]), rows)]
    assert np.array_equal(np.concatenate(parts), together)
    for column, (values, edges, cells) in enumerate(zip(odd, bins.edges, bins.cells, strict=True)):
        expected = [MISSING if np.isnan(value) else cells[(edges < value).sum()] for value in values]
        assert together[:, column].tolist() == expected
