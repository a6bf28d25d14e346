from __future__ import annotations

import re

import numpy as np
import pytest

from detectors.calibration import CERTAIN, TailMap
from gateway.console.calibration import extent, shares
from gateway.console.distribution import chain_curve, histogram, tail_curve

SCORES = np.random.default_rng(0).normal(size=2000)
TAIL = TailMap.fit(SCORES)


def test_a_histogram_has_the_shares_of_the_scores() -> None:
    ends = np.linspace(-3.0, 3.0, 13)
    counted = np.histogram(SCORES, ends)[0] / len(SCORES)
    np.testing.assert_allclose(shares(TAIL, ends)[:8], counted[:8], atol=2e-3)  # below the fitted tail
    assert shares(TAIL, np.linspace(*extent(TAIL, ()), 41)).sum() == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(("score", "where"), [(0.0, "between"), (1e6, "right"), (-1e6, "left"), (CERTAIN, "right")])
def test_the_marker_is_where_the_score_is(score: float, where: str) -> None:
    drawn = histogram(TAIL, 2.0, 3.0, score, "a <stage>")
    assert drawn is not None
    assert "a &lt;stage&gt;" in drawn
    xs = [float(x) for x in re.findall(r"([-\d.]+),", re.findall(r'points="([^"]+)"', drawn)[0])]
    assert {"left": min(xs) == 0.0, "right": max(xs) == 260.0, "between": 0.0 < min(xs) < max(xs) < 260.0}[where]


def test_scores_that_are_all_one_have_no_picture() -> None:
    flat = TailMap.fit(np.zeros(50))
    assert histogram(flat, 1.0, 2.0, 0.0, "contract") is None
    assert tail_curve(flat, 1.0, 2.0, "contract") is None
    assert chain_curve(np.empty(0), 0.05, 0.01) is None


def test_curves_carry_their_cuts() -> None:
    drawn = tail_curve(TAIL, 2.0, None, "stage")
    assert drawn is not None
    assert drawn.count("cut flag") == 1
    assert "cut reject" not in drawn
    whole = chain_curve(np.sort(np.random.default_rng(0).uniform(size=500)), 0.05, 0.01)
    assert whole is not None
    assert whole.count('class="cut') == 2
