"""A detector of somebody's own, without a differentiable twin: how many values lie on odd gray levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from detectors.base import Detector, DetectorSpec, View
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True)
class Unattackable:
    name: str = "unattackable"

    def score(self, view: View) -> Array:
        return np.asarray((view.x.reshape(len(view), -1) % 0.125 > 0.0).sum(axis=1), dtype=np.float32)


class UnattackableSpec(DetectorSpec):
    kind: Literal["unattackable"] = "unattackable"

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        return Unattackable()
