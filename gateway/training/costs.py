"""What a chain costs in forward passes a row, and on how many honest rows `when: suspicious` stages may run for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.base import Detector, View
from gateway.config import EndpointConfig, StageConfig
from gateway.errors import OperatorError
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `limit` forward passes a row on average over honest rows, of which purifiers take `purifying`."""

    limit: float
    purifying: float = 0.0


def allowance(settings: EndpointConfig) -> Allowance | None:
    """What the config allows; None where it says nothing."""
    return None if settings.cost is None else Allowance(settings.cost, purifying(settings))


def purifying(settings: EndpointConfig) -> float:
    """Forward passes a row on purified input: flagged rows, or all."""
    if settings.mode == "shadow" or not settings.purify:
        return 0.0
    return 1.0 if any(step.when == "always" for step in settings.purify) else settings.budget.flag


def passes(detector: Detector, declared: float, rows: View) -> float:
    """Forward passes a row beyond the one that answers: as counted on these rows, but no less than declared."""
    rows.outputs  # noqa: B018 - the answer's own pass
    before = rows.rows_run
    detector.score(rows)
    return max((rows.rows_run - before) / len(rows), declared)


def stage_shares(
    stages: Sequence[tuple[StageConfig, Detector]], rows: View, allowed: Allowance | None
) -> tuple[float, ...]:
    """The share of honest rows each stage is let run on, where it is `when: suspicious`.

    Within an allowance, a stage whose `share` is not stated gets what is left; all shrink alike where it is too little.

    Raises:
        OperatorError: what runs on every row costs more than is allowed.
    """
    if allowed is None:
        return tuple(stage.share for stage, _ in stages)
    costs: Array = np.array(
        [passes(found, stage.detector.cost, View(rows.batch, rows.backend)) for stage, found in stages]
    )
    gated: Array = np.array([stage.when == "suspicious" for stage, _ in stages])
    wanted: Array = np.array([_wanted(stage, cost) for (stage, _), cost in zip(stages, costs, strict=True)])
    left = allowed.limit - 1.0 - allowed.purifying - float(costs[~gated].sum())
    asked = float((wanted * costs)[gated].sum())
    if left < -1e-9 or (asked > 0.0 and left <= 1e-9):
        taken = allowed.limit - left
        raise OperatorError(
            f"cost: expected more than the {taken:.2f} forward passes a row that the answer, purifiers and stages on "
            f"every row take, found {allowed.limit:g}"
        )
    factor = min(1.0, left / asked) if asked > 0.0 else 1.0
    shares: Array = np.where(costs > 0.0, wanted * factor, wanted)
    return tuple(float(share) for share in shares)


def _wanted(stage: StageConfig, cost: float) -> float:
    """The stated share, else all rows where each costs something."""
    return stage.share if "share" in stage.model_fields_set or cost == 0.0 else 1.0
