"""Every measure of every series, for people to read; alarms don't depend on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.drift.baseline import Baseline
from detectors.drift.cells import ABOVE, BELOW, INNER, MISSING, ORDERED, RARE, SEEN
from detectors.drift.statistics.chi_square import chi_square
from detectors.drift.statistics.jensen_shannon import jensen_shannon
from detectors.drift.statistics.kolmogorov_smirnov import kolmogorov_smirnov
from detectors.drift.statistics.location import location
from detectors.drift.statistics.psi import psi
from detectors.drift.statistics.wasserstein import wasserstein
from detectors.drift.sums import Sums
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Description:
    """One series of a window against the reference: distances, then shares of the window's rows.

    `shift` is in standard errors and signed: above 0, values are larger than the reference's.
    """

    series: str
    shift: float
    psi: float
    jensen_shannon: float
    kolmogorov_smirnov: float
    wasserstein: float
    chi_square: float
    below: float
    above: float
    rare: float
    missing: float


def describe(names: tuple[str, ...], baseline: Baseline, sums: Sums) -> tuple[Description, ...]:
    """All series of a window's sums, in order; `names` (series,)."""
    reference, window = baseline.sums.counts, sums.counts
    inner = reference[:, INNER], window[:, INNER]
    measures: list[Array] = [
        location(reference[:, ORDERED], window[:, ORDERED], baseline.scores[:, ORDERED]),
        *(measure(*inner) for measure in (psi, jensen_shannon, kolmogorov_smirnov, wasserstein, chi_square)),
        *(window[:, cell] / np.maximum(window[:, SEEN].sum(axis=1), 1) for cell in (BELOW, ABOVE, RARE, MISSING)),
    ]
    table = np.stack(measures, axis=1)
    return tuple(Description(name, *map(float, row)) for name, row in zip(names, table, strict=False))
