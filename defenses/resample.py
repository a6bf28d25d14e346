"""Fewer samples and back: averages every few steps of a series and draws straight lines between the averages.

Yang, Li, Chen, Song: Characterizing Audio Adversarial Examples Using Temporal Dependency (ICLR 2019), on down-sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec, Unsuitable
from defenses.values import Values
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class Resample:
    """The last average is over what is left. Before the first average's middle and after the last one's, it is flat."""

    name: str
    starts: Array  # first step of each block
    counts: Array  # steps in each block
    left: Array  # for every step, the block whose middle is before it
    share: Array  # and how far it is on the way to the next one's middle, in [0, 1]
    axis: int
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        u = np.ascontiguousarray(np.moveaxis(self.values.enter(x), self.axis, -1))
        blocks = np.add.reduceat(u, self.starts, axis=-1) / self.counts
        a, b = blocks[..., self.left], blocks[..., np.minimum(self.left + 1, len(self.starts) - 1)]
        b -= a
        b *= self.share
        a += b
        return self.values.leave(np.ascontiguousarray(np.moveaxis(a, -1, self.axis)), x)


class ResampleSpec(PurifierSpec):
    """`factor` is how many steps become one."""

    kind: Literal["resample"] = "resample"
    factor: Annotated[int, Field(ge=2, le=100)] = 2
    suits: ClassVar[frozenset[Kind]] = frozenset({"series"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but series, and for one shorter than two averages."""
        self.refuse_unsuitable(spec)
        axis = smooth_axes(spec)[0]
        length = spec.shape[axis - 1]
        if length <= self.factor:
            raise Unsuitable(f"resample needs more than `factor` ({self.factor}) steps; this series has {length}")
        values = Values.plain(spec)
        starts = np.arange(0, length, self.factor)
        counts = np.diff(np.append(starts, length))
        middles = starts + (counts - 1) / 2.0
        steps = np.arange(length)
        left = np.clip(np.searchsorted(middles, steps, side="right") - 1, 0, len(starts) - 2)
        share = np.clip((steps - middles[left]) / (middles[left + 1] - middles[left]), 0.0, 1.0)
        real = values.real
        return Resample(f"resample-{self.factor}", starts, counts.astype(real), left, share.astype(real), axis, values)
