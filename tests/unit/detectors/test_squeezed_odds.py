"""Shifts of log-odds when rows are squeezed."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.bit_depth import BitDepthSpec
from defenses.lattice import LatticeSpec
from defenses.median import MedianSpec
from detectors.base import Unsuitable, View
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.squeezed_odds import SqueezedOddsSpec
from tests import tiny


def test_shares_its_pass_with_feature_squeezing() -> None:
    case = tiny.image()
    view = View(case.rows, case.net)
    for spec in (SqueezedOddsSpec(), FeatureSqueezingSpec(squeezers=(MedianSpec(size=2),))):
        spec.build(spec.fit(case.reference), case.spec).score(view)
    assert view.rows_run == 2 * len(case.rows)


def test_the_most_unusual_of_several_counts() -> None:
    case = tiny.image()
    squeezers = (BitDepthSpec(bits=1), MedianSpec(size=2))
    scores = []
    for chosen in (*((squeezer,) for squeezer in squeezers), squeezers):
        spec = SqueezedOddsSpec(squeezers=chosen)
        assert spec.cost == len(chosen)
        scores.append(spec.build(spec.fit(case.reference), case.spec).score(View(case.rows, case.net)))
    assert np.array_equal(scores[2], np.maximum(scores[0], scores[1]))


def test_squeezers_that_learn_keep_what_they_learned() -> None:
    case = tiny.table()
    spec = SqueezedOddsSpec(squeezers=(LatticeSpec(),))
    arrays = spec.fit(case.reference)
    assert any(name.startswith("squeezer0_") for name in arrays)
    assert np.isfinite(spec.build(arrays, case.spec).score(View(case.rows, case.net))).all()


def test_tables_need_squeezers_of_their_own() -> None:
    with pytest.raises(Unsuitable, match="list some as `squeezers`"):
        SqueezedOddsSpec().fit(tiny.table().reference)
