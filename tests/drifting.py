"""Made rows, and monitors of them that take a moment to make."""

from __future__ import annotations

import numpy as np

from detectors.drift.baseline import Baseline
from detectors.drift.encoder import Encoder, Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule
from detectors.drift.thresholds import Thresholds

SCHEDULE = Schedule(200, 2000, 20)


def rows(n: int, seed: int, shift: float = 0.0) -> Rows:
    """Three columns, of which the first can be shifted, the second has few values and the third some missing."""
    rng = np.random.default_rng(seed)
    columns = np.stack([rng.normal(shift, 1.0, n), rng.integers(0, 4, n), rng.exponential(size=n)], axis=1)
    columns[rng.random(n) < 0.1, 2] = np.nan
    logits = rng.normal(size=(n, 3)).astype(np.float32)
    return Rows(columns, logits, rng.random(n) < 0.05)


def monitor(level: float = 5.0) -> Monitor:
    """Of 2,000 made rows, with thresholds that were not simulated: 2.5 + level / 4."""
    reference = rows(2000, 0)
    encoder = Encoder.fit(reference, columns=("a", "b", "c"))
    shape = (4, len(SCHEDULE.windows))
    thresholds = Thresholds(np.full(shape, 2.5), np.full(shape, 0.25), level)
    return Monitor(encoder, Baseline.fit(encoder, encoder.series(reference)), thresholds, SCHEDULE)
