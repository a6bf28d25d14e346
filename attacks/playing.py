"""Attacks on a defended model, to learn from: what gets past the evidence as it is now."""

from __future__ import annotations

import numpy as np

from attacks.aware import Watcher, aware
from attacks.evidence import twin_of
from attacks.feasible import UNIT
from attacks.making import Attacked, Targets, strengths
from detectors.base import Detector

_LEAK = 0.003  # of the slope of capped evidence: less finds the way out of a cap too late, more is led astray by it


def against(
    detector: Detector, limit: float, scale: float, targets: Targets, *, name: str, seed: int, steps: int
) -> Attacked:
    """Rows that fool the model and, where that could be had, score below `limit`, of epsilons from weak to strong.

    Raises:
        NoTwin: the detector, or one of its pieces, has no gradient.
    """
    watcher = Watcher(twin_of(detector, leak=_LEAK), limit, scale)
    low, high = strengths(targets, seed)
    epsilon = targets.drawn(low, high, np.random.default_rng(seed))
    found = aware(
        targets.look, targets.x, targets.y, [watcher], epsilon=epsilon, bounds=UNIT, seed=seed, steps=steps, restarts=2
    )
    return targets.done(name, found)
