"""The chain statistic of many rows, in pieces that fit in memory: what cuts are set on."""

from __future__ import annotations

import numpy as np

from detectors.base import View
from gateway.chain import Stage, collect
from gateway.errors import OperatorError
from gateway.training.passes import Progress, chunks
from models.backend import ModelBackend
from models.batch import Array, Batch


def statistic_of(
    stages: tuple[Stage, ...], backend: ModelBackend, batch: Batch, progress: Progress
) -> tuple[Array, Array]:
    """The chain statistic of all rows, and the index of the stage it comes from, (n,) each.

    Raises:
        OperatorError: a stage failed.
    """
    n = len(batch)
    statistic, decided = np.empty(n), np.empty(n, dtype=np.int16)
    for part in chunks(n):
        evidence = collect(stages, View(batch.take(part), backend))
        statistic[part], decided[part] = evidence.statistic, evidence.decided
        failed = [run for run in evidence.runs if run.error is not None]
        if failed:
            raise OperatorError(f"stage {failed[0].name!r}: {failed[0].error}")
        progress("calibrate", int(part[-1]) + 1, n)
    return statistic, decided
