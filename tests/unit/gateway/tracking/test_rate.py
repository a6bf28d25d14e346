"""A rate of rows."""

from __future__ import annotations

import pytest

from gateway.tracking.rate import Rate


def test_what_was_saved_up_is_used_and_earned_again() -> None:
    rate = Rate(100.0)
    assert rate.take(2000, 0.0) == 500
    assert rate.take(2000, 0.0) == 0
    assert rate.take(2000, 0.25) == 25
    assert rate.take(10, 1.0) == 10
    assert rate.take(2000, 100.0) == 500


def test_in_the_long_run_no_more_than_the_rate_is_granted() -> None:
    rate = Rate(1000.0)
    granted = sum(rate.take(37, step * 0.005) for step in range(20_000))
    assert granted == pytest.approx(1000.0 * 100.0, rel=0.06)


def test_a_rate_below_one_row_a_second_still_grants_some() -> None:
    rate = Rate(0.5)
    assert sum(rate.take(1, float(second)) for second in range(100)) == pytest.approx(50, abs=3)
