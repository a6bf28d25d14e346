"""Next to a boundary."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Unsuitable, View
from detectors.margin import MarginSpec
from detectors.max_softmax import MaxSoftmaxSpec
from models.backend import Outputs
from models.batch import Array, Batch, InputSpec
from tests import tiny

SPEC = InputSpec("table", np.dtype("float32"), (1,))


class Says:
    """A model that answers with the rows themselves."""

    def predict(self, batch: Batch) -> Outputs:
        return Outputs({"y": batch.x}, logits=batch.x)


def scores(spec: MarginSpec | MaxSoftmaxSpec, logits: list[list[float]]) -> Array:
    view = View(Batch(np.array(logits, dtype=np.float32)), Says())  # type: ignore[arg-type]
    return spec.build({}, SPEC).score(view)


def test_margin_is_the_gap_between_the_two_largest_logits() -> None:
    assert scores(MarginSpec(), [[1, 5, 3], [2, 2, 2], [-7, -9, 4]]).tolist() == [-2.0, 0.0, -11.0]


def test_margin_of_what_is_no_number_is_none() -> None:
    assert scores(MarginSpec(), [[np.nan, 1, 2], [np.inf, np.inf, 0]]).tolist() == [0.0, 0.0]
    assert scores(MarginSpec(), [[np.inf, 1, 2]])[0] == -1e9


def test_one_class_has_no_margin() -> None:
    with pytest.raises(Unsuitable, match="margin needs two classes or more"):
        MarginSpec().refuse_unsuitable(SPEC, Outputs({}, logits=np.zeros((3, 1), dtype=np.float32)))


def test_max_softmax_is_the_log_odds_against_the_likeliest_class() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 10)) * 3
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    top = p.max(axis=1)
    assert np.allclose(scores(MaxSoftmaxSpec(), logits.tolist()), np.log((1 - top) / top), atol=1e-3)


def test_the_surest_rows_are_still_told_apart() -> None:
    far, farther = scores(MaxSoftmaxSpec(), [[60, 0, 0], [70, 0, 0]])
    assert farther < far < -50
    assert np.isfinite(scores(MaxSoftmaxSpec(), [[1e30, 0], [np.inf, 0], [np.nan, 0]])).all()


def test_log_probabilities_give_the_same() -> None:
    case = tiny.image()
    known = MaxSoftmaxSpec().build({}, case.spec).score(View(case.rows, case.net))
    ends = case.with_net(log_probabilities=True).net
    assert np.allclose(MaxSoftmaxSpec().build({}, case.spec).score(View(case.rows, ends)), known, atol=1e-3)
