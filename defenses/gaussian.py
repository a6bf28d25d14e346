"""Replaces every value by a Gaussian mean of its neighborhood, each channel by itself.

Xu, Evans, Qi: Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks (NDSS 2018), local smoothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec
from defenses.smoothing import Smoothing
from defenses.values import Values
from models.batch import NO_ARRAYS, Arrays, InputSpec, Kind


class GaussianSpec(PurifierSpec):
    """`sigma` is the standard deviation of the weights, in pixels or steps of time."""

    kind: Literal["gaussian"] = "gaussian"
    sigma: Annotated[float, Field(gt=0.0, le=20.0)] = 0.7
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for tables and token ids."""
        self.refuse_unsuitable(spec)
        reach = max(1, round(3.0 * self.sigma))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.sigma) ** 2)
        return Smoothing(f"gaussian-{self.sigma:g}", kernel / kernel.sum(), smooth_axes(spec), Values.plain(spec))
