from __future__ import annotations

import numpy as np
import pytest

from detectors.calibration import TailMap
from detectors.rarity import CAP, Rarity
from models.batch import Array

DRAWS: dict[str, Array] = {
    "normal": np.random.default_rng(0).normal(size=3000),
    "skewed": np.random.default_rng(1).lognormal(size=3000),
    "ties": np.random.default_rng(2).integers(0, 4, 3000).astype(float),
    "one value": np.ones(50),
    "one row": np.array([2.5]),
    "two rows": np.array([0.0, 1.0]),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_is_monotone_and_read_back_as_written(draw: str) -> None:
    rarity = Rarity.fit(DRAWS[draw])
    assert (np.diff(rarity.knots) > 0.0).all()
    assert (np.diff(rarity.high) >= -1e-9).all()
    assert (np.diff(rarity.low) <= 1e-9).all()
    assert CAP < rarity.high.max() < 1.5 * CAP
    assert CAP < rarity.low.max() < 1.5 * CAP
    assert min(rarity.high.min(), rarity.low.min()) >= -1e-12
    back = Rarity.from_arrays(rarity.to_arrays("a."), "a.")
    assert np.array_equal(back.pieces(), rarity.pieces())


@pytest.mark.parametrize("draw", ["normal", "skewed"])
def test_agrees_with_the_tail_map(draw: str) -> None:
    scores = DRAWS[draw]
    rarity, tail = Rarity.fit(scores), TailMap.fit(scores)
    asked = np.quantile(scores, np.linspace(0.02, 0.999, 200))
    found = np.interp(asked, rarity.knots, rarity.high)
    np.testing.assert_allclose(found, np.maximum(-np.log(2.0 * tail(asked)), 0.0), atol=0.1)


def test_the_low_end_mirrors_the_high_end() -> None:
    scores = DRAWS["skewed"]
    rarity, mirrored = Rarity.fit(scores), Rarity.fit(-scores)
    asked = np.linspace(-1.0, 20.0, 300)
    low = np.interp(asked, rarity.knots, rarity.low)
    np.testing.assert_allclose(low, np.interp(-asked, mirrored.knots, mirrored.high), atol=1e-9)


def test_the_ends_do_not_overlap() -> None:
    rarity = Rarity.fit(DRAWS["normal"])
    assert (np.minimum(rarity.high, rarity.low) < 0.1).all()
    assert np.interp(0.0, rarity.knots, rarity.high + rarity.low) < 0.1


def test_extremes_do_not_tie_and_no_extreme_outvotes_all() -> None:
    rarity = Rarity.fit(DRAWS["normal"])
    far = np.interp([50.0, 500.0, 5000.0], rarity.knots, rarity.high)
    assert (np.diff(far) > 0.1).all()
    assert far.max() < 1.2 * CAP
