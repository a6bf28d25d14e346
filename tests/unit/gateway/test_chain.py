"""The chain's loop: order, gates, certainty, shadow, failure, purification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from detectors.base import View
from detectors.calibration import CERTAIN, Gate, TailMap
from gateway.chain import Chain, PurifyStep, Stage, StageFailed, collect
from gateway.policy import Policy
from gateway.verdict import Action
from models.backend import Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, InputSpec

SPEC = InputSpec("table", np.dtype("float32"), (2,))
UNIFORM = TailMap.fit(np.linspace(0.0, 1.0, 1000, dtype=np.float32))


@dataclass
class Doubling:
    """A model whose one output is twice its input; remembers how many rows it saw."""

    spec: InputSpec = SPEC
    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "FP32", (-1, 2)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", "FP32", (-1, 2)),)
    seen: list[int] = field(default_factory=list)

    def join(self, tensors: Arrays) -> Batch:
        return Batch(tensors["x"])

    def predict(self, batch: Batch) -> Outputs:
        self.seen.append(len(batch))
        return Outputs({"y": batch.x * 2}, logits=batch.x)


@dataclass(frozen=True)
class Column:
    """Scores a row by one of its values."""

    name: str
    column: int
    before: Callable[[View], object] = lambda view: None

    def score(self, view: View) -> Array:
        self.before(view)
        return view.x[:, self.column]


@dataclass(frozen=True)
class Halving:
    name: str = "halving"

    def apply(self, x: Array) -> Array:
        return x / 2


def stage(column: int, **kwargs: object) -> Stage:
    return replace(Stage(f"column {column}", Column(f"column {column}", column), UNIFORM), **kwargs)  # type: ignore[arg-type]


def rows(*values: tuple[float, float]) -> Batch:
    return Batch(np.array(values, dtype=np.float32))


POLICY = Policy(flag_cut=0.2, reject_cut=0.05, calibrated=np.linspace(0, 1, 99))


def test_the_smallest_tail_probability_decides_and_names_its_stage() -> None:
    chain = Chain(Doubling(), (stage(0), stage(1)), POLICY)
    verdicts = chain.run(rows((0.1, 0.2), (0.9, 0.1), (0.1, 0.99))).verdicts
    assert [v.action for v in verdicts] == [Action.ALLOW, Action.FLAG, Action.REJECT]
    assert [v.stage for v in verdicts] == ["column 1", "column 0", "column 1"]
    assert verdicts[1].p_value == pytest.approx((1 + np.sum(POLICY.calibrated <= verdicts[1].statistic)) / 100)


def test_an_empty_chain_answers_as_the_model_does() -> None:
    judged = Chain(Doubling()).run(rows((3.0, 4.0)))
    assert judged.verdicts.worst is Action.ALLOW
    assert judged.outputs is not None
    np.testing.assert_array_equal(judged.outputs.tensors["y"], [[6.0, 8.0]])
    assert judged.rows_run == 1


def test_rows_refused_for_certain_reach_neither_later_stages_nor_the_model() -> None:
    backend, scored = Doubling(), []
    looks = Stage("looks", Column("looks", 1, lambda view: scored.append(len(view))), UNIFORM)
    judged = Chain(backend, (stage(0), looks), POLICY).run(rows((CERTAIN, 0.0), (0.0, 0.0)))
    assert [v.action for v in judged.verdicts] == [Action.REJECT, Action.ALLOW]
    assert scored == [1]
    backend.seen.clear()
    assert Chain(backend, (stage(0),), POLICY).run(rows((CERTAIN, 0.0))).outputs is None
    assert backend.seen == []


def test_the_model_never_sees_a_row_that_is_certainly_refused_in_a_mixed_batch() -> None:
    backend = Doubling()
    judged = Chain(backend, (stage(0),), POLICY).run(rows((CERTAIN, 0.0), (0.0, 0.0), (0.1, 0.1)))
    assert backend.seen == [2]
    assert judged.outputs is not None
    np.testing.assert_allclose(judged.outputs.tensors["y"][1:], [[0.0, 0.0], [0.2, 0.2]], rtol=1e-6)


def test_a_conditional_stage_runs_only_between_its_bounds() -> None:
    scored: list[int] = []
    gated = Stage("gated", Column("gated", 1, lambda v: scored.append(len(v))), UNIFORM, gate=Gate(0.05, 0.5))
    evidence = collect((stage(0), gated), View(rows((0.01, 1.0), (0.7, 0.9), (0.999, 1.0)), Doubling()))
    assert scored == [1]
    assert np.isnan(evidence.runs[1].scores).tolist() == [True, False, True]
    assert evidence.decided.tolist() == [0, 1, 0]


def test_a_shadow_stage_is_scored_but_never_decides() -> None:
    verdict = Chain(Doubling(), (stage(0, shadow=True),), POLICY).run(rows((1.0, 0.0))).verdicts[0]
    assert verdict.action is Action.ALLOW
    assert verdict.p_values["column 0"] < 0.05


def test_a_shadow_endpoint_records_what_it_would_have_done() -> None:
    judged = Chain(Doubling(), (stage(0),), replace(POLICY, shadow=True)).run(rows((1.0, 0.0)))
    assert judged.verdicts.worst is Action.ALLOW
    assert judged.verdicts.shadowed.tolist() == [Action.REJECT]
    assert judged.outputs is not None


def fails(view: View) -> None:
    raise RuntimeError("no memory")


def test_an_enforcing_stage_that_raises_fails_closed() -> None:
    broken = Stage("broken", Column("broken", 0, fails), UNIFORM)
    with pytest.raises(StageFailed, match=r"stage 'broken' raised RuntimeError: no memory"):
        Chain(Doubling(), (broken,), POLICY).run(rows((0.0, 0.0)))


@pytest.mark.parametrize("lenient", [{"on_error": "allow"}, {"shadow": True}])
def test_a_stage_may_fail_open_and_says_so(lenient: dict[str, object]) -> None:
    broken = replace(Stage("broken", Column("broken", 0, fails), UNIFORM), **lenient)  # type: ignore[arg-type]
    judged = Chain(Doubling(), (broken, stage(1)), POLICY).run(rows((0.0, 1.0)))
    assert judged.verdicts[0].action is Action.REJECT
    assert judged.verdicts.stages[0].error == "raised RuntimeError: no memory"


def test_a_stage_that_overruns_its_time_fails_closed() -> None:
    slow = replace(stage(0), timeout_ms=1e-9)
    with pytest.raises(StageFailed, match="its limit is 1e-09 ms"):
        Chain(Doubling(), (slow,), POLICY).run(rows((0.0, 0.0)))


def test_only_flagged_rows_are_answered_from_their_purified_input() -> None:
    judged = Chain(Doubling(), (stage(0),), POLICY, (PurifyStep(Halving()),)).run(
        rows((0.1, 1.0), (0.9, 1.0), (1.0, 1.0))
    )
    assert judged.outputs is not None
    assert judged.before is not None
    assert judged.purified_rows is not None
    assert judged.purified_rows.tolist() == [False, True, False]
    np.testing.assert_allclose(judged.outputs.tensors["y"][:2], [[0.2, 2.0], [0.9, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(judged.before.tensors["y"][1], [1.8, 2.0], rtol=1e-6)


def test_purifiers_apply_in_order_each_to_its_own_rows() -> None:
    steps = (PurifyStep(Halving(), always=True), PurifyStep(Halving("again")))
    judged = Chain(Doubling(), (stage(0),), POLICY, steps).run(rows((0.1, 1.0), (0.9, 1.0)))
    assert judged.outputs is not None
    np.testing.assert_allclose(judged.outputs.tensors["y"], [[0.1, 1.0], [0.45, 0.5]], rtol=1e-6)


def test_a_request_takes_its_share_of_a_batch() -> None:
    judged = Chain(Doubling(), (stage(0), stage(1)), POLICY).run(rows((0.1, 0.2), (0.9, 0.1), (0.1, 0.99)))
    part = judged.take(slice(1, 3))
    assert [v.action for v in part.verdicts] == [Action.FLAG, Action.REJECT]
    assert len(part.batch) == 2
    assert part.verdicts.stages[1].scores.tolist() == pytest.approx([0.1, 0.99])
