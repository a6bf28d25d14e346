"""A calibrated chain, frozen: what `calibrate` writes into a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.base import Detector
from detectors.calibration import Gate, TailMap
from detectors.conformal import Cut
from gateway.chain import Stage
from gateway.config import StageConfig
from gateway.policy import Policy
from models.batch import Arrays


@dataclass(frozen=True, slots=True)
class FittedStage:
    """A stage, frozen: what its detector learned, its tail map and its gate."""

    config: StageConfig
    detector: Detector
    arrays: Arrays
    tail: TailMap
    gate: Gate | None
    notes: tuple[str, ...]

    @property
    def stage(self) -> Stage:
        """The stage as calibration runs it: without a time limit, and any error is told."""
        shadow = self.config.mode == "shadow"
        return Stage(self.config.name, self.detector, self.tail, self.config.weight, self.gate, shadow)


@dataclass(frozen=True, slots=True)
class FittedChain:
    """All stages in order, the policy, and the cuts it was made of (None for an empty chain, which allows all)."""

    stages: tuple[FittedStage, ...]
    policy: Policy
    flag: Cut | None = None
    reject: Cut | None = None
