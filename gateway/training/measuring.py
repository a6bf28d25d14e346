"""What a calibrated chain does to honest rows that took no part in making it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from defenses.base import Purifier
from detectors.base import View
from detectors.conformal import Cut, clopper_pearson
from gateway.chain import Chain, PurifyStep
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain, FittedStage
from gateway.training.passes import Progress, chunks, silent
from gateway.verdict import Action, Judged
from models.backend import ModelBackend, Outputs
from models.batch import Array

BATCH_ROWS = 64  # rows a batch while timing: what a busy endpoint puts together


@dataclass(frozen=True, slots=True)
class StageMeasure:
    """One stage on the check rows. Shares are of all of them; `row_us` is microseconds a row that it ran on.

    `flags`, `rejects`: the share that this stage's evidence alone would flag (rejected ones too) and reject.
    A forward pass counts for the first stage that asks for it.
    """

    name: str
    ran: float
    flags: float
    rejects: float
    row_us: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How many check rows fell below a cut, and what was to be expected.

    `interval` is the 95 % confidence interval of the true rate, `predicted` the central 95 % interval of `hits`.
    """

    cut: Cut
    hits: int
    rows: int
    interval: tuple[float, float]
    predicted: tuple[int, int]

    @property
    def rate(self) -> float:
        """The measured share."""
        return self.hits / self.rows

    @property
    def as_predicted(self) -> bool:
        """Whether the number is at most what the predictive interval allows (ties may make it smaller)."""
        return self.hits <= self.predicted[1]


@dataclass(frozen=True, slots=True)
class PurifierMeasure:
    """What a purifier costs honest rows: the share whose class it changes, and the accuracy it loses (labels known)."""

    name: str
    when: str
    changed: float | None
    accuracy_lost: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """The chain on the check rows. `passes` is forward passes a row; None where nothing was there to tell it."""

    rows: int
    stages: tuple[StageMeasure, ...]
    flag: Rate | None
    reject: Rate | None
    passes: float
    accuracy: float | None
    purifiers: tuple[PurifierMeasure, ...]


def measure(
    fitted: FittedChain,
    backend: ModelBackend,
    purifiers: Sequence[tuple[Purifier, str]],
    rows: Rows,
    progress: Progress = silent,
) -> Measured:
    """Runs the chain over the check rows as requests would, and each purifier on all of them."""
    steps = tuple(PurifyStep(purifier, when == "always") for purifier, when in purifiers)
    chain = Chain(backend, tuple(stage.stage for stage in fitted.stages), fitted.policy, steps)
    judged = []
    for part in chunks(len(rows), BATCH_ROWS):
        judged.append(chain.run(rows.batch.take(part)))
        progress("check", int(part[-1]) + 1, len(rows))
    passes = sum(part.rows_run for part in judged) / len(rows)
    stages = tuple(_stage(index, stage, judged, fitted) for index, stage in enumerate(fitted.stages))
    plain = _outputs(backend, rows)
    return Measured(
        len(rows),
        stages,
        _rate(fitted.flag, judged, Action.FLAG),
        _rate(fitted.reject, judged, Action.REJECT),
        passes,
        accuracy(plain, rows.y),
        tuple(_purifier(purifier, when, plain, backend, rows) for purifier, when in purifiers),
    )


def accuracy(outputs: Outputs, y: Array | None) -> float | None:
    """The share of rows whose class the model gets right; None without labels or class logits."""
    if y is None or outputs.logits is None:
        return None
    return float((outputs.logits.argmax(axis=1) == y).mean())


def _stage(index: int, stage: FittedStage, judged: Sequence[Judged], fitted: FittedChain) -> StageMeasure:
    runs = [part.verdicts.stages[index] for part in judged]
    p = np.concatenate([run.p_values for run in runs])
    spent_us = sum(run.ended_ns - run.started_ns for run in runs) / 1e3
    ran = int(np.count_nonzero(~np.isnan(p)))
    evidence = np.nan_to_num(p, nan=np.inf) / stage.config.weight
    flags, rejects = (float((evidence < cut).mean()) for cut in (fitted.policy.flag_cut, fitted.policy.reject_cut))
    return StageMeasure(stage.config.name, ran / len(p), flags, rejects, spent_us / max(ran, 1))


def _rate(cut: Cut | None, judged: Sequence[Judged], least: Action) -> Rate | None:
    if cut is None:
        return None
    hits = sum(int((part.verdicts.shadowed >= least).sum()) for part in judged)
    rows = sum(len(part.verdicts) for part in judged)
    return Rate(cut, hits, rows, clopper_pearson(hits, rows), cut.predicted(rows))


def _outputs(backend: ModelBackend, rows: Rows) -> Outputs:
    return Outputs.concat([backend.predict(rows.batch.take(part)) for part in chunks(len(rows))])


def _purifier(purifier: Purifier, when: str, plain: Outputs, backend: ModelBackend, rows: Rows) -> PurifierMeasure:
    parts = [View(rows.batch.take(part), backend).through(purifier) for part in chunks(len(rows))]
    pure = Outputs.concat(parts)
    before, after = accuracy(plain, rows.y), accuracy(pure, rows.y)
    lost = None if before is None or after is None else before - after
    changed = None
    if plain.logits is not None and pure.logits is not None:
        changed = float((plain.logits.argmax(axis=1) != pure.logits.argmax(axis=1)).mean())
    return PurifierMeasure(purifier.name, when, changed, lost)
