"""Fits a chain and sets its cuts, each part of the data for one thing only, in an order that the guarantee rests on.

    reference -> what detectors learn
    train     -> what combiners learn, from attacks made of these rows
    rank      -> tail maps and gates; then every stage is frozen, and the chain statistic a fixed function of a row
    calibrate -> the two cuts on that statistic

Where honest rows may come with wear, worn copies of rank and calibrate rows stand beside them: see `held.py`.

The statistic of calibrate rows comes from `gateway.chain.collect`, which also judges requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from detectors.base import Detector, Reference, Unsuitable, View
from detectors.calibration import Gate, TailMap
from detectors.conformal import CertainRows, Cut, TooFewRows, cut
from detectors.examples import Examples
from detectors.remembering import RememberingReference
from gateway.chain import Stage
from gateway.config import Budget, StageConfig
from gateway.errors import OperatorError
from gateway.policy import OPEN, Policy
from gateway.training.costs import Allowance, stage_shares
from gateway.training.data import Rows
from gateway.training.fitted import FittedChain, FittedStage
from gateway.training.held import Held, lowered
from gateway.training.passes import Chunked, Progress, chunks, silent
from gateway.training.statistic import statistic_of
from gateway.training.wearing import Wear
from models.backend import ModelBackend
from models.batch import Array, Arrays

Part = Literal["reference", "train", "rank", "calibrate", "check"]
# Where rows come from. A part is asked for once, and not before it is its turn.
Source = Callable[[Part], Rows]

FEW_ROWS = 20  # a tail map on fewer is coarse


@dataclass(frozen=True, slots=True)
class Taught:
    """What is known before a chain is fitted: `examples` for stages that learn from attacks, the `reference` where some
    of it has been learned already, and the `wear` that honest rows may come with.
    """

    examples: Examples | None = None
    reference: RememberingReference | None = None
    wear: Wear | None = None


NOTHING = Taught()


@dataclass(frozen=True, slots=True)
class _Built:
    config: StageConfig
    detector: Detector
    arrays: Arrays
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Live:
    """Rank rows that no stage has refused for certain; `rows` are their indices."""

    view: View
    rows: Array


def fit(
    stages: Sequence[StageConfig],
    backend: ModelBackend,
    read: Source,
    budget: Budget,
    *,
    allowance: Allowance | None = None,
    taught: Taught = NOTHING,
    seed: int = 0,
    progress: Progress = silent,
) -> FittedChain:
    """The calibrated chain.

    Raises:
        OperatorError: a detector does not suit the model or the data, the calibrate rows can't support the budget, or
            the stages that run on every row cost more than the allowance.
    """
    if not stages:
        return FittedChain((), OPEN)
    reference = taught.reference or _reference(read("reference"), backend, seed, progress)
    built = _learn(stages, backend, replace(reference, examples=taught.examples), progress)
    parts = [(stage.config, stage.detector) for stage in built]
    some = reference.view.batch.take(slice(0, FEW_ROWS))
    shares = stage_shares(parts, View(some, backend), allowance)
    rank = Held.of(read("rank").batch, taught.wear, backend, seed)
    fitted = _rank(built, backend, rank, budget.reject / 2.0, shares, progress)
    frozen = tuple(stage.stage for stage in fitted)
    held = Held.of(read("calibrate").batch, taught.wear, backend, seed + 1)
    statistic, decided = statistic_of(frozen, backend, held.batch, progress)
    honest = held.honest
    flag, reject = _cuts(frozen, statistic[honest], decided[honest], budget)
    flag, reject = (lowered(one, held, statistic) for one in (flag, reject))
    return FittedChain(fitted, Policy(flag.value, reject.value, np.sort(statistic[honest])), flag, reject)


def _reference(rows: Rows, backend: ModelBackend, seed: int, progress: Progress) -> RememberingReference:
    return RememberingReference(View(rows.batch, Chunked(backend, progress)), backend.spec, rows.y, seed)


def _learn(
    stages: Sequence[StageConfig], backend: ModelBackend, reference: Reference, progress: Progress
) -> list[_Built]:
    sample = backend.predict(reference.view.batch.take(slice(0, 8)))
    built = []
    for index, config in enumerate(stages):
        progress(f"fit {config.name}", index, len(stages))
        try:
            config.detector.refuse_unsuitable(backend.spec, sample)
            arrays = config.detector.fit(reference)
            detector = config.detector.build(arrays, backend.spec)
        except (Unsuitable, ValueError) as error:
            raise _refused(index, config, error) from error
        built.append(_Built(config, detector, arrays, config.detector.notes(arrays, backend.spec)))
    progress("fit", len(stages), len(stages))
    return built


def _refused(index: int, config: StageConfig, error: Exception) -> OperatorError:
    return OperatorError(f"chain[{index}] ({config.name}): {' '.join(str(error).split())}")


def _rank(
    built: Sequence[_Built],
    backend: ModelBackend,
    held: Held,
    settled: float,
    shares: Sequence[float],
    progress: Progress,
) -> tuple[FittedStage, ...]:
    n = len(held.batch)
    live = [_Live(View(held.batch.take(part), backend), part) for part in chunks(n)]
    statistic = np.ones(n)
    fitted = []
    for index, stage in enumerate(built):
        progress(f"rank {stage.config.name}", index, len(built))
        try:
            done, ran, p = _rank_one(stage, live, held, statistic, settled, shares[index])
        except ValueError as error:
            raise _refused(index, stage.config, error) from error
        fitted.append(done)
        if stage.config.mode == "enforce":
            statistic[ran] = np.minimum(statistic[ran], p / stage.config.weight)
            live = [_without_certain(part, statistic) for part in live]
    progress("rank", len(built), len(built))
    return tuple(fitted)


def _rank_one(
    stage: _Built, live: Sequence[_Live], held: Held, statistic: Array, settled: float, share: float
) -> tuple[FittedStage, Array, Array]:
    """The frozen stage, the rows it ran on and their tail probabilities."""
    notes, gate = stage.notes, None
    if stage.config.when == "suspicious":
        gate = Gate.fit(statistic[held.honest], share, settled)
    ran, scores = _score(stage.detector, live, statistic, gate)
    honest = int(np.count_nonzero(held.honest[ran]))
    if gate is not None and honest < FEW_ROWS:
        notes = (*notes, f"its tail map rests on only {honest} rank rows; a larger holdout or `share` steadies it")
    tail = TailMap.fit(*held.usual(ran, scores, gated=gate is not None))
    done = FittedStage(stage.config, stage.detector, stage.arrays, tail, gate, notes)
    return done, ran, tail(scores)


def _score(detector: Detector, live: Sequence[_Live], statistic: Array, gate: Gate | None) -> tuple[Array, Array]:
    rows, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for part in live:
        view, picked = part.view, part.rows
        if gate is not None:
            gated = gate(statistic[picked])
            if not gated.any():
                continue
            view.outputs  # noqa: B018 - made once here, and taken along by the part
            view, picked = view.take(gated), picked[gated]
        if len(picked):
            rows.append(picked)
            scores.append(detector.score(view))
    return np.concatenate(rows), np.concatenate(scores)


def _without_certain(part: _Live, statistic: Array) -> _Live:
    keep = statistic[part.rows] > 0.0
    return part if keep.all() else _Live(part.view.take(keep), part.rows[keep])


def _cuts(stages: tuple[Stage, ...], statistic: Array, decided: Array, budget: Budget) -> tuple[Cut, Cut]:
    """Flag and reject."""
    try:
        reject = cut(statistic, budget.reject, budget.guarantee)
        return cut(statistic, budget.flag, budget.guarantee), reject
    except TooFewRows as error:
        raise OperatorError(f"budget: {error}") from None
    except CertainRows as error:  # the cut would be 0, and could not tell these rows from the rest
        names = {stages[index].name for index in decided[statistic <= 0.0]}
        remedy = "correct the stated bounds, loosen it, or look at those rows"
        raise OperatorError(f"stage {', '.join(map(repr, sorted(names)))}: {error}; {remedy}") from None
