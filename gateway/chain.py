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
FLAG, REJECT = int(Action.FLAG), int(Action.REJECT)  # numpy compares with an enum ten times slower than with an int


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
    """What the stages said of a batch: the chain statistic (n,) float64 and the stage it came from.

    `live` is the view of the rows not refused for certain, `rows` their mask: what the model may see.
    """

    statistic: Array
    decided: Array
    runs: tuple[StageRun, ...]
    live: View
    rows: Array


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
    always: bool = field(init=False)  # some purifier is used on every row
    empty: bool = field(init=False)  # no row can come out otherwise than as the model answers it
    known: dict[int, Verdicts] = field(init=False, default_factory=dict, repr=False)  # of an empty chain, by rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(stage.name for stage in self.stages))
        object.__setattr__(self, "always", any(step.always for step in self.purify))
        object.__setattr__(self, "empty", not (self.stages or self.always or self.policy.decide(np.ones(1)).any()))

    def run(self, batch: Batch) -> Judged:
        """Judges every row, purifies what is flagged, and answers.

        Raises:
            StageFailed: an enforcing stage gave no evidence.
        """
        if self.empty:
            n = len(batch.x)
            return Judged(batch, self.known.get(n) or self._unjudged(n), self.backend.predict(batch), rows_run=n)
        evidence = collect(self.stages, View(batch, self.backend))
        return self._answer(batch, evidence, self._decide(evidence.statistic, evidence.decided, evidence.runs))

    def _decide(self, statistic: Array, decided: Array, runs: tuple[StageRun, ...]) -> Verdicts:
        wanted = self.policy.decide(statistic)
        actions = np.zeros_like(wanted) if self.policy.shadow else wanted
        return Verdicts(actions, wanted, statistic, self.policy.p_value(statistic), decided, runs)

    def _unjudged(self, n: int) -> Verdicts:
        """What an empty chain says of `n` rows: always the same, so it is worked out once."""
        known = self.known[n] = self._decide(np.ones(n), np.full(n, -1, dtype=np.int16), ())
        return known

    def _answer(self, batch: Batch, evidence: Evidence, verdicts: Verdicts) -> Judged:
        actions, live = verdicts.actions, evidence.live
        suspicious = np.count_nonzero(actions)
        if suspicious and actions.min() == REJECT:
            return Judged(batch, verdicts, None, self._known(evidence), rows_run=live.rows_run)
        before = self._before(batch, evidence)
        if not suspicious and not self.always:  # most batches
            return Judged(batch, verdicts, before, rows_run=live.rows_run)
        rows = self._purified_rows(actions)
        if not rows.any():
            return Judged(batch, verdicts, before, rows_run=live.rows_run)
        picked = live.take(rows[evidence.rows])
        purified, outputs = self._purify(picked, actions[rows])
        full = batch.x.copy()
        full[rows] = purified
        return Judged(batch, verdicts, before.patched(rows, outputs), before, full, rows, live.rows_run)

    def _known(self, evidence: Evidence) -> Outputs | None:
        """What a stage has already heard from the model: for the trace of a request that gets no answer."""
        known = evidence.live.known
        if known is None or len(evidence.live) == len(evidence.rows):
            return known
        return known.spread(evidence.rows) if evidence.rows.any() else None

    def _before(self, batch: Batch, evidence: Evidence) -> Outputs:
        """The undefended answer; rows refused for certain hold zeros, unless the endpoint only watches."""
        if len(evidence.live) == len(evidence.rows):
            return evidence.live.outputs
        if self.policy.shadow:
            return self.backend.predict(batch)
        return evidence.live.outputs.spread(evidence.rows)

    def _purified_rows(self, actions: Array) -> Array:
        if self.policy.shadow:
            return np.zeros(len(actions), dtype=bool)
        rows: Array = actions != REJECT if self.always else actions == FLAG
        return rows & bool(self.purify)

    def _purify(self, view: View, actions: Array) -> tuple[Array, Outputs]:
        if len(self.purify) == 1:  # a squeezing stage may have made this very pass already
            purifier = self.purify[0].purifier
            return purifier.apply(view.x), view.through(purifier)
        flagged = actions == FLAG
        x = view.x.copy()
        for step in self.purify:
            rows = np.ones_like(flagged) if step.always else flagged
            if rows.any():
                x[rows] = step.purifier.apply(x[rows])
        return x, view.rerun(x)


def collect(stages: tuple[Stage, ...], view: View) -> Evidence:
    """Runs the stages in order and keeps, for each row, the smallest weighted tail probability.

    The same function serves requests and calibrate rows, so that the statistic is one fixed function of a row.
    A row whose statistic is 0 is refused for certain: nothing after that stage, the model least of all, sees it.
    """
    n = len(view)
    statistic = np.ones(n)
    decided = np.full(n, -1, dtype=np.int16)
    rows = np.ones(n, dtype=bool)
    runs = []
    for index, stage in enumerate(stages):
        run = _run(stage, view, rows, statistic)
        runs.append(run)
        if stage.shadow or run.error is not None:
            continue
        weighted = run.p_values if stage.weight == 1.0 else run.p_values / stage.weight
        stronger = weighted < statistic  # NaN, a stage that did not run, is never stronger
        np.copyto(statistic, weighted, where=stronger)
        np.copyto(decided, index, where=stronger)
        if np.count_nonzero(statistic) < n:  # a tenth of what `all` costs on a few rows
            live = statistic > 0.0
            view, rows = view.take(live[rows]), live
    return Evidence(statistic, decided, tuple(runs), view, rows)


def _run(stage: Stage, view: View, rows: Array, statistic: Array) -> StageRun:
    scores = p_values = error = None
    scored = len(rows)
    started = time.time_ns()
    try:
        if stage.gate is None and len(view) == scored:  # nearly always
            scores = stage.detector.score(view)
            p_values = stage.tail(scores)
        else:
            scores, p_values = _score_some(stage, view, rows, statistic)
            scored = int(np.count_nonzero(p_values == p_values))  # not NaN
    except Exception as exc:
        error = f"raised {type(exc).__name__}: {exc}"
    ended = time.time_ns()
    if error is None and stage.timeout_ms is not None and ended - started > stage.timeout_ms * 1e6:
        error = f"took {(ended - started) / 1e6:.1f} ms, its limit is {stage.timeout_ms:g} ms"
    if error is not None and stage.on_error == "reject" and not stage.shadow:
        raise StageFailed(stage.name, error)
    if scores is None or p_values is None:
        scores, p_values = _silent(len(rows))
        scored = 0
    return StageRun(stage.name, scores, p_values, started, ended, stage.shadow, error, scored)


def _silent(n: int) -> tuple[Array, Array]:
    """Scores and tail probabilities of a stage that said nothing."""
    return np.full(n, np.nan, dtype=np.float32), np.full(n, np.nan)


def _score_some(stage: Stage, view: View, rows: Array, statistic: Array) -> tuple[Array, Array]:
    """As a stage sees a batch of which it scores only some rows; `view` holds the live ones, `rows` is their mask."""
    scores, p_values = _silent(len(rows))
    if stage.gate is not None:
        gated = stage.gate(statistic[rows])
        if not gated.all():
            if gated.any():
                view.outputs  # noqa: B018 - the answer needs this pass anyway: made here once, not again for a part
            view = view.take(gated)
            rows = rows.copy()
            rows[rows] = gated
    if len(view):
        found = stage.detector.score(view)
        scores[rows] = found
        p_values[rows] = stage.tail(found)
    return scores, p_values
