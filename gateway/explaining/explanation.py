"""One row through the chain, and what every stage said of it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from detectors.base import View
from detectors.combiner import Combiner
from gateway.chain import Stage, StageFailed
from gateway.endpoint import Endpoint
from gateway.explaining.columns import Column
from gateway.state.record import Number, Record, RowEvidence, StageEvidence
from gateway.telemetry.describe import describe
from gateway.telemetry.observation import Observation
from gateway.verdict import Judged
from models.batch import Array, Batch

RARE = 0.01  # the share of honest rows that score as high as a stage's `rare`


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a combiner's evidence: its own score, and what it adds to the combiner's."""

    name: str
    score: float
    adds: float


@dataclass(frozen=True, slots=True)
class StageSaid:
    """One stage. Of honest rows half score `median` or higher, one in a hundred `rare` or higher.

    `weighted` is what the chain compares: its tail probability, divided by its weight.
    """

    evidence: StageEvidence
    median: Number
    rare: Number
    weighted: Number
    decided: bool
    pieces: tuple[Piece, ...] = ()
    words: str | None = None
    rarest: bool = False  # of the pieces only the largest counts: the combiner had no attacks to learn from

    @property
    def title(self) -> str:
        """What its pieces do."""
        return f"{'the largest counts' if self.rarest else 'what adds up'} in {self.evidence.name}"

    @property
    def score(self) -> Number:
        """None where it did not run."""
        return self.evidence.scores[0]

    @property
    def p_value(self) -> Number:
        """The share of honest rows that score this high; None where it did not run."""
        return self.evidence.p_values[0]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row, its record as a trace would have it, and what was said. `purified` is what the purifiers make of it."""

    record: Record
    x: Array
    stages: tuple[StageSaid, ...]
    purified: Array | None = None
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> RowEvidence | None:
        """None where a stage failed, and there is no verdict."""
        return self.record.row_evidence[0] if self.record.row_evidence else None


def explain(endpoint: Endpoint, batch: Batch) -> Explanation:
    """The explanation of a batch of one row."""
    chain, started = endpoint.chain, time.time_ns()
    judged: Judged | None = None
    error = None
    try:
        judged = chain.run(batch)
    except StageFailed as failed:
        error = str(failed)
    seen = Observation(
        "0" * 32, endpoint.info, started, time.time_ns(), "", "explain", 0 if judged else 503, judged, error
    )
    record = describe(seen, "off").record
    if judged is None:
        return Explanation(record, batch.x[0], ())
    row = record.row_evidence[0]
    said = [
        _said(stage, evidence, batch, endpoint, row)
        for stage, evidence in zip(chain.stages, record.stages, strict=True)
    ]
    return Explanation(record, batch.x[0], tuple(said), _purified(endpoint, batch, judged))


def _said(stage: Stage, evidence: StageEvidence, batch: Batch, endpoint: Endpoint, row: RowEvidence) -> StageSaid:
    p, words = evidence.p_values[0], None
    pieces: tuple[Piece, ...] = ()
    if p is not None:
        if isinstance(stage.detector, Combiner):
            pieces = _pieces(stage.detector, View(batch, endpoint.chain.backend))
        say = endpoint.info.explain.get(stage.name)
        words = (say(batch.x[0]) or None) if say is not None else None
    return StageSaid(
        evidence,
        _finite(stage.tail.inverse(0.5)),
        _finite(stage.tail.inverse(RARE)),
        None if p is None else p / stage.weight,
        stage.name == row.stage and row.verdict != "allow",
        pieces,
        words,
        isinstance(stage.detector, Combiner) and stage.detector.rarest,
    )


def _pieces(combiner: Combiner, view: View) -> tuple[Piece, ...]:
    """What adds most comes first. A piece that has nothing to say adds 0."""
    found = []
    for piece in combiner.pieces:
        score = piece.detector.score(view)
        found.append(Piece(piece.detector.name, float(score[0]), float(piece.add(score)[0] - piece.logit.min())))
    return tuple(sorted(found, key=lambda piece: -piece.adds))


def _purified(endpoint: Endpoint, batch: Batch, judged: Judged) -> Array | None:
    """What the purifiers make of the row, whether its verdict asks for that or not; not of one that is no input."""
    steps = endpoint.chain.purify
    if not steps or judged.verdicts.statistic[0] == 0.0:
        return None
    x = batch.x
    for step in steps:
        x = step.purifier.apply(x)
    return np.asarray(x[0])


def _finite(value: float) -> Number:
    return value if np.isfinite(value) else None
