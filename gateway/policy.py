"""Scores to actions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.verdict import Action
from models.batch import Array

REJECT = int(Action.REJECT)  # numpy is slow with enums


@dataclass(frozen=True, slots=True)
class Policy:
    """Two cuts on the chain statistic, and the calibrate rows' statistics for p-values.

    A row is rejected below `reject_cut`, flagged below `flag_cut` (strictly: ties go to the caller).
    `calibrated` is (m,) sorted ascending, the chain statistic of the calibrate rows.
    With `shadow` everything is allowed and what would have been done is only recorded.
    """

    flag_cut: float
    reject_cut: float
    calibrated: Array
    shadow: bool = False

    def decide(self, statistic: Array) -> Array:
        """(n,) uint8 `Action`, before shadowing."""
        below_flag = statistic < self.flag_cut
        below_reject = statistic < self.reject_cut
        actions = below_flag.astype(np.uint8)
        actions[below_reject] = REJECT
        return actions

    def p_value(self, statistic: Array) -> Array:
        """Conformal p-value: the share of calibrate rows at least as suspicious, the row itself counted in."""
        rank = self.calibrated.searchsorted(statistic, side="right")
        return (1.0 + rank) / (len(self.calibrated) + 1.0)


OPEN = Policy(flag_cut=-np.inf, reject_cut=-np.inf, calibrated=np.empty(0))
