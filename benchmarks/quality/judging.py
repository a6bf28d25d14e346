"""What each chain finds of each kind of rows, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.data import Images
from benchmarks.detection.judging import CHUNK_ROWS, Found, found
from benchmarks.quality.chains import COMBINER, LEFT_OUT, Calibrated
from benchmarks.quality.subject import Probe
from models.batch import Batch


@dataclass(frozen=True)
class Judged:
    """A chain's `found` by probe, its `passes` (forward passes a row) on honest rows, and its stages."""

    name: str
    found: Mapping[str, Found]
    passes: float
    seconds: float
    stages: tuple[str, ...]
    notes: tuple[str, ...]
    family: str | None
    alone: bool

    def mean(self, probes: Sequence[Probe], flagged: bool) -> float:
        """The mean share over these probes, each counting the same; probes without rows don't count."""
        rates = [self.found[p.name].flagged if flagged else self.found[p.name].rejected for p in probes if len(p.x)]
        return float(np.mean([rate.share for rate in rates])) if rates else float("nan")


def judged(calibrated: Calibrated, probes: Sequence[Probe]) -> Judged:
    """Runs the chain over everything."""
    honest = next(probe for probe in probes if probe.role == "honest")
    return Judged(
        calibrated.name,
        {probe.name: found(calibrated.chain, probe.x) for probe in probes},
        passes(calibrated, honest.x),
        calibrated.seconds,
        calibrated.chain.names,
        calibrated.notes,
        calibrated.family,
        calibrated.alone,
    )


def passes(calibrated: Calibrated, x: Images) -> float:
    """Forward passes a row, the one that answers counted in."""
    starts = range(0, len(x), CHUNK_ROWS)
    run = sum(calibrated.chain.run(Batch(x[start : start + CHUNK_ROWS].copy())).rows_run for start in starts)
    return run / len(x)


def kin_left_out(lines: Sequence[Judged], probes: Sequence[Probe]) -> Judged | None:
    """For each attack the combiner that learned from no kin of it; attacks that none learned from are as they are."""
    by_family = {line.family: line for line in lines if line.family is not None}
    whole = next((line for line in lines if line.name == COMBINER), None)
    if whole is None or not by_family:
        return None
    cells = {probe.name: by_family.get(probe.family, whole).found[probe.name] for probe in probes}
    return Judged(LEFT_OUT, cells, whole.passes, whole.seconds, whole.stages, (), None, False)
