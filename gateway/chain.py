"""The chain: one visible loop from a batch to a judged batch. Knows no HTTP and no BentoML."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from defenses.base import Purifier
from detectors.base import Detector, View
from detectors.calibration import Gate, TailMap
from gateway.policy import OPEN, Policy
from gateway.verdict import Action, Judged, StageRun, Verdicts
from models.backend import ModelBackend, Outputs
from models.batch import Array, Batch

OnError = Literal["reject", "allow"]


class StageFailed(Exception):
    """An enforcing stage raised or overran its time: the request is refused, not let through."""

    def __init__(self, stage: str, why: str) -> None:
        super().__init__(f"stage {stage!r} {why}")
        self.stage = stage
        self.why = why


@dataclass(frozen=True, slots=True)
class Stage:
    """A calibrated detector in its place.

    `tail` maps scores to tail probabilities; `gate`, if any, says from the cheap statistic on which rows it runs.
    A `shadow` stage is scored and traced but never decides. `timeout_ms` None means no limit.
    """

    name: str
    detector: Detector
    tail: TailMap
    weight: float = 1.0
    gate: Gate | None = None
    shadow: bool = False
    on_error: OnError = "reject"
    timeout_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the stages said of a batch: the chain statistic (n,) float64 and the stage it came from."""

    statistic: Array
    decided: Array
    runs: tuple[StageRun, ...]


@dataclass(frozen=True, slots=True)
class PurifyStep:
    """A purifier and when it is used: on every row, or only on flagged ones."""

    purifier: Purifier
    always: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything between decoded rows and the answer, frozen at load. `version` is the bundle's digest."""

    backend: ModelBackend
    stages: tuple[Stage, ...] = ()
    policy: Policy = OPEN
    purify: tuple[PurifyStep, ...] = ()
    version: str = "uncalibrated"
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(stage.name for stage in self.stages))

    def run(self, batch: Batch) -> Judged:
        """Judges every row, purifies what is flagged, and answers.

        Raises:
            StageFailed: an enforcing stage gave no evidence.
        """
        view = View(batch, self.backend)
        evidence = collect(self.stages, view)
        wanted = self.policy.decide(evidence.statistic)
        actions = np.zeros_like(wanted) if self.policy.shadow else wanted
        verdicts = Verdicts(
            actions,
            wanted,
            evidence.statistic,
            self.policy.p_value(evidence.statistic),
            evidence.decided,
            evidence.runs,
        )
        return self._answer(view, verdicts)

    def _answer(self, view: View, verdicts: Verdicts) -> Judged:
        actions = verdicts.actions
        if len(actions) and actions.min() == Action.REJECT:
            return Judged(view.batch, verdicts, None, rows_run=view.rows_run)
        before = view.outputs
        rows = self._purified_rows(actions)
        if not rows.any():
            return Judged(view.batch, verdicts, before, rows_run=view.rows_run)
        picked = view.take(rows)
        purified, outputs = self._purify(picked, actions[rows])
        full = view.x.copy()
        full[rows] = purified
        after = before.patched(rows, outputs)
        return Judged(view.batch, verdicts, after, before, full, rows, view.rows_run + picked.rows_run)

    def _purified_rows(self, actions: Array) -> Array:
        if any(step.always for step in self.purify):
            return actions != Action.REJECT
        if self.purify:
            return actions == Action.FLAG
        return np.zeros(len(actions), dtype=bool)

    def _purify(self, view: View, actions: Array) -> tuple[Array, Outputs]:
        flagged = actions == Action.FLAG
        if len(self.purify) == 1:  # a squeezing stage may have made this very pass already
            purifier = self.purify[0].purifier
            return purifier.apply(view.x), view.through(purifier)
        x = view.x
        for step in self.purify:
            if step.always or flagged.all():
                x = step.purifier.apply(x)
            elif flagged.any():
                x = x.copy()
                x[flagged] = step.purifier.apply(x[flagged])
        return x, view.rerun(x)


def collect(stages: tuple[Stage, ...], view: View) -> Evidence:
    """Runs the stages in order and keeps, for each row, the smallest weighted tail probability.

    The same function serves requests and calibrate rows, so that the statistic is one fixed function of a row.
    """
    n = len(view)
    statistic = np.ones(n)
    decided = np.full(n, -1, dtype=np.int16)
    runs = []
    for index, stage in enumerate(stages):
        run = _run(stage, view, statistic)
        runs.append(run)
        if stage.shadow or run.error is not None:
            continue
        weighted = run.p_values / stage.weight
        stronger = weighted < statistic  # NaN, a stage that did not run, is never stronger
        statistic[stronger] = weighted[stronger]
        decided[stronger] = index
    return Evidence(statistic, decided, tuple(runs))


def _run(stage: Stage, view: View, statistic: Array) -> StageRun:
    scores = np.full(len(view), np.nan, dtype=np.float32)
    p_values = np.full(len(view), np.nan)
    error = None
    started = time.time_ns()
    try:
        _score(stage, view, _rows(stage, statistic), scores, p_values)
    except Exception as exc:
        error = f"raised {type(exc).__name__}: {exc}"
    ended = time.time_ns()
    took_ms = (ended - started) / 1e6
    if error is None and stage.timeout_ms is not None and took_ms > stage.timeout_ms:
        error = f"took {took_ms:.1f} ms, its limit is {stage.timeout_ms:g} ms"
    if error is not None and stage.on_error == "reject" and not stage.shadow:
        raise StageFailed(stage.name, error)
    return StageRun(stage.name, scores, p_values, started, ended, stage.shadow, error)


def _rows(stage: Stage, statistic: Array) -> Array:
    """The rows a stage runs on: never those already refused for certain, whose values no model should see."""
    open_rows: Array = statistic > 0.0
    return open_rows if stage.gate is None else open_rows & stage.gate(statistic)


def _score(stage: Stage, view: View, rows: Array, scores: Array, p_values: Array) -> None:
    if rows.all():
        scores[:] = stage.detector.score(view)
        p_values[:] = stage.tail(scores)
    elif rows.any():
        part = view.take(rows)
        scores[rows] = stage.detector.score(part)
        p_values[rows] = stage.tail(scores[rows])
        view.rows_run += part.rows_run
