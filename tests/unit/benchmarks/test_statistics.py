from __future__ import annotations

import math

import pytest

from benchmarks.statistics import Rate, Summary


def test_a_summary_is_median_and_range() -> None:
    assert Summary.of([3.0, 1.0, 10.0]) == Summary(3.0, 1.0, 10.0)


def test_ratios_are_taken_round_by_round() -> None:
    slow_second_round = Summary.of_ratios([100.0, 10.0, 100.0], [50.0, 5.0, 50.0])
    assert slow_second_round == Summary(2.0, 2.0, 2.0)


def test_rounds_must_pair_up() -> None:
    with pytest.raises(ValueError):
        Summary.of_ratios([1.0, 2.0], [1.0])


def test_a_summary_as_text() -> None:
    assert Summary(1234.4, 999.0, 2000.0).text() == "1,234 (999–2,000)"
    assert Summary(0.856, 0.8, 0.9).text(2) == "0.86 (0.80–0.90)"


def test_the_exact_interval_of_a_rate() -> None:
    low, high = Rate(8, 100).interval
    assert (round(low, 4), round(high, 4)) == (0.0352, 0.1516)  # R: binom.test(8, 100)


@pytest.mark.parametrize(("k", "end"), [(0, 0), (50, 1)])
def test_the_interval_reaches_the_end_where_all_or_none_is_found(k: int, end: int) -> None:
    assert Rate(k, 50).interval[end] == end


def test_a_rate_without_rows_says_so() -> None:
    assert math.isnan(Rate(0, 0).share)
    assert Rate(0, 0).text() == "no rows"
    assert Rate(0, 0).to_json()["share"] is None


def test_a_rate_as_text() -> None:
    assert Rate(8, 100).text() == "8.0 [3.5, 15.2]"
