"""Replaces every value by a mean over those near it whose surroundings look alike.

Buades, Coll, Morel: A non-local algorithm for image denoising (CVPR 2005); as a squeezer: Xu, Evans, Qi: Feature
Squeezing: Detecting Adversarial Examples in Deep Neural Networks (NDSS 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from defenses.axes import channel_axis, smooth_axes
from defenses.base import Purifier, PurifierSpec
from defenses.values import Values, learned_range
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class NonLocalMeans:
    """Weights are exp(-d / strength^2), d the mean squared difference of the patches over all channels.

    One shift of the whole batch at a time. Edges are mirrored, the outermost value included.
    """

    name: str
    patch: int
    search: int
    strength: float
    axes: tuple[int, ...]
    channel: int | None
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        u = self.values.enter(x)
        around, reach = self.patch // 2, self.search // 2
        width = [(around + reach,) * 2 if axis in self.axes else (0, 0) for axis in range(u.ndim)]
        padded = np.pad(u, width, mode="symmetric")
        middle = self._part(padded, (0,) * len(self.axes), around)
        total, weights = u.copy(), np.ones_like(u)  # a value itself has weight 1
        for shift in product(range(-reach, reach + 1), repeat=len(self.axes)):
            if not any(shift):
                continue
            weight = self._weight(middle - self._part(padded, shift, around))
            weights += weight
            total += weight * self._part(padded, shift, 0)
        total /= weights
        return self.values.leave(total, x)

    def _part(self, padded: Array, shift: tuple[int, ...], margin: int) -> Array:
        """What lies `shift` from the rows, `margin` wider on every side."""
        index = [slice(None)] * padded.ndim
        edge = self.patch // 2 + self.search // 2
        for axis, offset in zip(self.axes, shift, strict=True):
            size = padded.shape[axis] - 2 * edge
            index[axis] = slice(edge + offset - margin, edge + offset + size + margin)
        return padded[tuple(index)]

    def _weight(self, gap: Array) -> Array:
        gap *= gap
        if self.channel is not None:
            gap = gap.mean(axis=self.channel, keepdims=True)
        for axis in self.axes:
            gap = _sums(gap, axis, self.patch)
        gap *= self.values.real.type(-1.0 / (self.patch ** len(self.axes) * self.strength**2))
        return np.exp(gap, out=gap)


def _sums(x: Array, axis: int, size: int) -> Array:
    """Over every `size` neighbors along the axis."""
    lead, length = (slice(None),) * axis, x.shape[axis] - size + 1
    total = x[(*lead, slice(0, length))].copy()
    for start in range(1, size):
        total += x[(*lead, slice(start, start + length))]
    return total


class NonLocalMeansSpec(PurifierSpec):
    """`patch` is the side of what is compared, `search` of where, both odd; `strength` where the input's range is 1."""

    kind: Literal["non_local_means"] = "non_local_means"
    patch: Annotated[int, Field(ge=1, le=15)] = 3
    search: Annotated[int, Field(ge=3, le=31)] = 7
    strength: Annotated[float, Field(gt=0.0, le=10.0)] = 0.06
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series"})

    @field_validator("patch", "search")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError(f"expected an odd number, found {size}")
        return size

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """The range of an input without bounds."""
        return learned_range(x, spec)

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for tables and token ids."""
        self.refuse_unsuitable(spec)
        name = f"non_local_means-{self.patch}-{self.search}-{self.strength:g}"
        values = Values.scaled(spec, arrays, self.kind)
        return NonLocalMeans(
            name, self.patch, self.search, self.strength, smooth_axes(spec), channel_axis(spec), values
        )
