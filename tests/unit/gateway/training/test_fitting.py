"""The order of fitting, what each part of the data may set, and what is refused."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from detectors.base import Detector, DetectorSpec, Reference, Unsuitable, View
from detectors.calibration import CERTAIN
from gateway.chain import collect
from gateway.config import Budget, StageConfig
from gateway.errors import OperatorError
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain
from gateway.training.fitting import Part, fit
from models.batch import Array, Arrays, Batch, InputSpec
from tests.columns import Column, Split, Table, chain, split, stage

BUDGET = Budget(flag=0.05, reject=0.01)


def normal(n: int = 1500, width: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def fitted(scores: Array, stages: tuple[StageConfig, ...], **options: Any) -> tuple[FittedChain, Split]:
    parts = split(scores, 0, 500, 500)
    return fit(stages, Table(scores.shape[1]), parts.read, BUDGET, **options), parts


class Watched:
    """Hands out parts and remembers, with all else that happens, in which order."""

    def __init__(self, parts: Split) -> None:
        self.parts = parts
        self.events: list[str] = []

    def read(self, part: Part) -> Rows:
        self.events.append(f"read {part}")
        return self.parts.read(part)


EVENTS: list[str] = []


class Noting(Column):
    """A column that notes who asks it to score: rows are told apart by their last value."""

    def score(self, view: View) -> Array:
        EVENTS.append(f"score {'calibrate' if view.x[0, -1] > 0 else 'rank'}")
        return super().score(view)


class NotingSpec(DetectorSpec):
    kind: Literal["noting"] = "noting"
    column: int

    def fit(self, reference: Reference) -> Arrays:
        EVENTS.append("fit")
        return {"mean": reference.view.x.mean(axis=0)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Noting(self.column)


def test_calibrate_rows_are_read_only_after_all_else_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a map, not a gate, not a detector changes once they are read; and check rows are not read at all."""
    EVENTS.clear()
    scores = np.column_stack([normal(), np.zeros(1500, np.float32)]).astype(np.float32)
    parts = split(scores, 0, 500, 500)
    scores[parts.rows["calibrate"], -1] = 1.0
    source = Watched(parts)
    source.events = EVENTS
    for method in ("gateway.training.fitting.TailMap.fit", "gateway.training.fitting.Gate.fit"):
        original = _resolve(method)
        name = method.rsplit(".", 2)[1]
        monkeypatch.setattr(method, _noted(f"set {name}", original))
    stages = tuple(
        StageConfig.model_construct(detector=NotingSpec(column=i), name=f"s{i}", when=when)
        for i, when in enumerate(["always", "always", "suspicious"])
    )
    fit(stages, Table(4), source.read, BUDGET)
    order = [event for i, event in enumerate(EVENTS) if i == 0 or EVENTS[i - 1] != event]
    assert order == [
        "read reference",
        "fit",
        "read rank",
        "score rank",
        "set TailMap",
        "score rank",
        "set TailMap",
        "set Gate",
        "score rank",
        "set TailMap",
        "read calibrate",
        "score calibrate",
    ]


def _resolve(path: str) -> Any:
    from gateway.training import fitting

    owner, method = path.rsplit(".", 2)[1:]
    return getattr(getattr(fitting, owner), method)


def _noted(event: str, function: Any) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        EVENTS.append(event)
        return function(*args, **kwargs)

    return staticmethod(noted)


def test_calibrate_rows_set_nothing_but_the_cuts() -> None:
    scores = normal()
    one, parts = fitted(scores, chain(3, conditional=True))
    changed = scores.copy()
    changed[parts.rows["calibrate"]] *= 3.0
    other, _ = fitted(changed, chain(3, conditional=True))
    for a, b in zip(one.stages, other.stages, strict=True):
        assert (a.tail.levels == b.tail.levels).all()
        assert (a.tail.knots == b.tail.knots).all()
        assert (a.tail.scale, a.gate) == (b.tail.scale, b.gate)
    assert one.policy.reject_cut != other.policy.reject_cut


def test_check_rows_are_not_read() -> None:
    source = Watched(split(normal(), 0, 500, 500))
    fit(chain(2), Table(3), source.read, BUDGET)
    assert source.events == ["read reference", "read rank", "read calibrate"]


def test_the_cuts_are_those_of_the_serving_statistic() -> None:
    scores = normal()
    found, parts = fitted(scores, chain(3, conditional=True))
    rows = Batch(scores[parts.rows["calibrate"]])
    statistic = np.sort(collect(tuple(s.stage for s in found.stages), View(rows, Table(3))).statistic)
    assert (found.policy.calibrated == statistic).all()
    assert found.policy.reject_cut == statistic[5 - 1]
    assert found.policy.flag_cut == statistic[25 - 1]


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_conditional_stage_runs_on_its_share(share: float) -> None:
    scores = normal(9000)
    parts = split(scores, 0, 2000, 1000)
    stages = (stage(0), stage(1), stage(2, when="suspicious", share=share))
    found = fit(stages, Table(3), parts.read, BUDGET)
    fresh = Batch(scores[parts.rows["check"]])
    run = collect(tuple(s.stage for s in found.stages), View(fresh, Table(3))).runs[2]
    assert (~np.isnan(run.p_values)).mean() == pytest.approx(share, rel=0.15)
    assert np.nanmax(run.p_values) <= share


def test_a_shadow_stage_is_fitted_and_decides_nothing() -> None:
    scores = normal()
    alone, _ = fitted(scores, (stage(0),))
    beside, _ = fitted(scores, (stage(0), stage(1, mode="shadow")))
    assert (alone.policy.calibrated == beside.policy.calibrated).all()
    assert beside.stages[1].stage.shadow


def test_a_weight_shifts_the_budget_between_stages() -> None:
    scores = normal(6000)
    parts = split(scores, 0, 1000, 1000)
    found = fit((stage(0, weight=8.0), stage(1)), Table(3), parts.read, BUDGET)
    heavy, light = (s.tail.inverse(found.policy.flag_cut * s.config.weight) for s in found.stages)
    assert heavy < light - 0.5


def test_an_empty_chain_allows_all_and_reads_nothing() -> None:
    source = Watched(split(normal(), 0, 500, 500))
    found = fit((), Table(3), source.read, BUDGET)
    assert not source.events
    assert found.policy.decide(np.zeros(3)).tolist() == [0, 0, 0]


def test_rows_refused_for_certain_do_not_reach_later_stages() -> None:
    scores = normal()
    parts = split(scores, 0, 500, 500)
    scores[parts.rows["rank"][:3], 0] = CERTAIN
    scores[parts.rows["rank"][:3], 1] = 1e6
    found = fit((stage(0), stage(1)), Table(3), parts.read, BUDGET)
    assert found.stages[1].tail(np.array([6.0], np.float32))[0] < 1e-3
    assert len(found.stages[1].tail.knots) < 500


def test_too_many_rows_that_break_the_contract_are_told_with_the_stage() -> None:
    scores = normal()
    parts = split(scores, 0, 500, 500)
    scores[parts.rows["calibrate"][:7], 1] = CERTAIN
    with pytest.raises(OperatorError, match=r"stage 'column-1': 7 of 500 calibrate rows .* budget of 0\.01 allows 4"):
        fit((stage(0), stage(1)), Table(3), parts.read, BUDGET)


def test_too_few_rows_are_told() -> None:
    with pytest.raises(OperatorError, match=r"budget of 0\.001 \(guarantee: set\) needs at least 2995 calibrate rows"):
        fit(chain(2), Table(3), split(normal(), 0, 500, 500).read, Budget(reject=0.001, guarantee="set"))


class PickySpec(DetectorSpec):
    kind: Literal["picky"] = "picky"

    def fit(self, reference: Reference) -> Arrays:
        raise Unsuitable("needs\nmore")

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Column(0)


class Broken(Column):
    def score(self, view: View) -> Array:
        return np.full(len(view), np.nan, np.float32)


class BrokenSpec(DetectorSpec):
    kind: Literal["broken"] = "broken"

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Broken(0)


class LogitsSpec(PickySpec):
    needs = frozenset({"logits"})


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (PickySpec(), r"chain\[1\] \(mine\): needs more"),
        (BrokenSpec(), r"chain\[1\] \(mine\): a rank score is not a number"),
        (LogitsSpec(), r"chain\[1\] \(mine\): picky needs class logits; this model has none"),
    ],
)
def test_a_detector_that_does_not_suit_is_named(detector: DetectorSpec, message: str) -> None:
    stages = (stage(0), StageConfig.model_construct(detector=detector, name="mine"))
    with pytest.raises(OperatorError, match=message):
        fit(stages, Table(3), split(normal(), 0, 500, 500).read, BUDGET)


def test_a_conditional_stage_after_stages_that_tell_nothing() -> None:
    scores = normal()
    scores[:, 0] = 0.0
    with pytest.raises(OperatorError, match=r"chain\[1\] \(column-1\): the stages before it tell too few rows apart"):
        fitted(scores, (stage(0), stage(1, when="suspicious")))
