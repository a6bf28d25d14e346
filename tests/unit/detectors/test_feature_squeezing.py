"""The largest move over squeezers, and passes that are shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import softmax

from defenses.bit_depth import BitDepthSpec
from defenses.median import MedianSpec
from detectors.base import Unsuitable, View
from detectors.feature_squeezing import FeatureSqueezing, FeatureSqueezingSpec
from models.batch import Array, Batch
from tests import tiny


def probabilities(case: tiny.Case, x: Array) -> Array:
    logits = case.net.predict(Batch(x)).logits
    assert logits is not None
    return np.asarray(softmax(logits, axis=1))


def test_is_the_largest_move() -> None:
    case = tiny.image()
    squeezers = (BitDepthSpec(bits=1), MedianSpec(size=3))
    x = case.rows.x
    moves = [
        np.abs(probabilities(case, x) - probabilities(case, s.build(case.spec).apply(x))).sum(axis=1) for s in squeezers
    ]
    spec = FeatureSqueezingSpec(squeezers=squeezers)
    score = spec.build(spec.fit(case.reference), case.spec).score(View(case.rows, case.net))
    assert np.allclose(score, np.maximum(*moves), atol=1e-5)
    assert score.max() <= 2.0


def test_passes_are_shared_with_whoever_made_them() -> None:
    case = tiny.image()
    detector = FeatureSqueezingSpec(squeezers=(BitDepthSpec(),)).build({}, case.spec)
    view = View(case.rows, case.net)
    view.through(BitDepthSpec().build(case.spec))
    detector.score(view)
    assert view.rows_run == 2 * len(case.rows)


@pytest.mark.parametrize(
    ("case", "names"),
    [(tiny.image, ["bit_depth-4", "median-2"]), (tiny.series, ["bit_depth-4", "median-3"])],
)
def test_squeezers_of_its_own(case: Callable[[], tiny.Case], names: list[str]) -> None:
    built = FeatureSqueezingSpec().build({}, case().spec)
    assert isinstance(built, FeatureSqueezing)
    assert [squeezer.name for squeezer in built.squeezers] == names


def test_tables_need_some_listed() -> None:
    case = tiny.table()
    with pytest.raises(Unsuitable, match="no squeezers of its own for tables: list some as `squeezers`"):
        FeatureSqueezingSpec().fit(case.reference)


def test_a_squeezer_that_does_not_suit_is_named_at_fit() -> None:
    case = tiny.table()
    with pytest.raises(Unsuitable, match="median works on image and series inputs; this one is table"):
        FeatureSqueezingSpec(squeezers=(MedianSpec(),)).fit(case.reference)
