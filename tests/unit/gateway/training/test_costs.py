"""A stated cost decides on how many honest rows costly stages run; the mean over rank rows is at most that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.base import View
from gateway.config import Budget, EndpointConfig, StageConfig
from gateway.errors import OperatorError
from gateway.training.costs import Allowance, passes, purifying
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain
from gateway.training.fitting import Part, fit
from gateway.training.measuring import measure
from models.batch import Batch
from tests import tiny

CHEAP = ({"kind": "mahalanobis"}, {"kind": "margin"})
SQUEEZING = {"kind": "feature_squeezing", "when": "suspicious", "squeezers": [{"kind": "bit_depth", "bits": 2}]}


def read(part: Part) -> Rows:
    case = tiny.image()
    at = {"rank": slice(0, 60), "calibrate": slice(60, 140), "check": slice(140, 200)}
    return Rows(case.reference.view.batch, case.reference.y) if part == "reference" else Rows(case.rows.take(at[part]))


def fitted(chain: tuple[dict[str, Any], ...], allowed: Allowance | None) -> FittedChain:
    stages = [StageConfig.model_validate(stage) for stage in chain]
    return fit(stages, tiny.image().net, read, Budget(flag=0.2, reject=0.1), allowance=allowed)


def cost(chain: FittedChain, part: Part) -> float:
    return measure(chain, tiny.image().net, [], read(part)).passes


@pytest.mark.parametrize("limit", [1.05, 1.3, 1.7])
def test_the_mean_over_rank_rows_is_the_stated_cost(limit: float) -> None:
    chain = fitted((*CHEAP, SQUEEZING), Allowance(limit))
    assert limit - 2 / 60 <= cost(chain, "rank") <= limit + 1e-9
    assert cost(chain, "check") == pytest.approx(limit, abs=0.2)


def test_two_costly_stages_share_what_there_is() -> None:
    second = {**SQUEEZING, "name": "second", "squeezers": [{"kind": "median", "size": 2}, {"kind": "gaussian"}]}
    chain = fitted((*CHEAP, SQUEEZING, second), Allowance(1.6))
    assert cost(chain, "rank") <= 1.6 + 1e-9
    assert all(stage.gate is not None for stage in chain.stages[2:])


def test_a_stated_share_is_not_exceeded() -> None:
    chain = fitted((*CHEAP, {**SQUEEZING, "share": 0.1}), Allowance(1.9))
    assert cost(chain, "rank") <= 1.1 + 1e-9


def test_without_a_stated_cost_the_share_counts() -> None:
    assert cost(fitted((*CHEAP, {**SQUEEZING, "share": 0.2}), None), "rank") == pytest.approx(1.2, abs=1 / 60)


def test_stages_on_every_row_may_cost_too_much() -> None:
    always = {**SQUEEZING, "when": "always"}
    with pytest.raises(OperatorError, match=r"cost: expected more than the 2\.00 forward passes .*, found 1\.3"):
        fitted((*CHEAP, always), Allowance(1.3))


def test_free_stages_cost_nothing() -> None:
    assert cost(fitted(CHEAP, Allowance(1.0)), "check") == 1.0


def test_passes_are_counted_and_no_less_than_declared() -> None:
    case = tiny.image()
    spec = StageConfig.model_validate(SQUEEZING).detector
    detector = spec.build(spec.fit(case.reference), case.spec)
    rows = Batch(np.array(case.rows.x[:8]))
    assert passes(detector, 0.0, View(rows, case.net)) == 1.0
    assert passes(detector, 1.5, View(rows, case.net)) == 1.5


@pytest.mark.parametrize(
    ("purify", "expected"), [((), 0.0), (("flagged",), 0.05), (("flagged", "flagged"), 0.05), (("always",), 1.0)]
)
def test_purifiers_take_a_pass_on_what_they_run_on(purify: tuple[str, ...], expected: float) -> None:
    steps = [{"kind": "bit_depth", "bits": 2, "when": when} for when in purify]
    model = {"kind": "onnx", "path": "m.onnx"}
    settings = EndpointConfig.model_validate({"model": model, "reference": "r.npz", "purify": steps})
    assert purifying(settings) == expected
