"""What every honest row keeps to: the stated bounds, the learned range, the value lattice. Runs before the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.calibration import CERTAIN
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class Contract:
    """0 inside the learned range; beyond it, by how many ranges; `CERTAIN` outside the stated bounds."""

    low: Array
    high: Array
    bounds: tuple[float, float]
    missing: bool
    name: str = "contract"

    def score(self, view: View) -> Array:
        """(n,) float32."""
        x = view.x.reshape(len(view), -1).astype(np.float64)
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        beyond = np.fmax(np.fmax(self.low - x, x - self.high) / width, 0.0).max(axis=1)
        broken = (x < self.bounds[0]) | (x > self.bounds[1]) | np.isinf(x)
        if not self.missing:
            broken |= np.isnan(x)
        return np.where(broken.any(axis=1), CERTAIN, np.minimum(beyond, 1e9)).astype(np.float32)


class ContractSpec(DetectorSpec):
    """`margin` widens the learned range, in units of it."""

    kind: Literal["contract"] = "contract"
    margin: Annotated[float, Field(ge=0.0, le=1e6)] = 0.1
    range: Literal["auto", False] = "auto"
    lattice: Literal["auto", False] = "auto"

    def fit(self, reference: Reference) -> Arrays:
        """The range of every value."""
        x = reference.view.x.reshape(len(reference.view), -1).astype(np.float64)
        low, high = np.nanmin(x, axis=0), np.nanmax(x, axis=0)
        if self.range is False:
            return {"low": np.full_like(low, -np.inf), "high": np.full_like(high, np.inf)}
        return {"low": low - self.margin * (high - low), "high": high + self.margin * (high - low)}

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector of this range."""
        bounds = (-np.inf, np.inf) if spec.bounds is None else tuple(spec.bounds)
        return Contract(arrays["low"], arrays["high"], (bounds[0], bounds[1]), spec.missing)
