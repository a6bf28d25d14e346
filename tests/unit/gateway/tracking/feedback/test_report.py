"""The interval of a share."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from gateway.tracking.feedback.report import wilson


@pytest.mark.parametrize(("correct", "labels"), [(0, 1), (1, 1), (9, 10), (50, 100), (0, 300), (9_990, 10_000)])
def test_is_the_score_interval(correct: int, labels: int) -> None:
    expected = binomtest(correct, labels).proportion_ci(method="wilson")
    assert wilson(correct, labels) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
