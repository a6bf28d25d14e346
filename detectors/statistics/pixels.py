"""Values of images and series brought to [0, 1] by the bounds or, where none are stated, by the reference's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from defenses.axes import channel_axis
from models.batch import Array, Arrays, InputSpec


@dataclass(frozen=True, slots=True)
class Pixels:
    """`low`, `per_range` (channels,) float32; `channel` their axis in a batch, None if there is one only."""

    low: Array
    per_range: Array
    channel: int | None

    @staticmethod
    def fit(x: Array, spec: InputSpec) -> Pixels:
        """The range of each channel over reference rows, where no bounds are stated."""
        channel = channel_axis(spec)
        count = 1 if channel is None else spec.shape[channel - 1]
        if spec.bounds is not None:
            low, high = (np.full(count, bound) for bound in spec.bounds)
        else:
            axes: Any = tuple(axis for axis in range(x.ndim) if axis != channel)
            known = np.isfinite(x) if x.dtype.kind == "f" else np.ones(x.shape, dtype=bool)
            low = np.where(known, x, np.inf).min(axis=axes).reshape(count)
            high = np.where(known, x, -np.inf).max(axis=axes).reshape(count)
        width = high - low
        width[~(np.isfinite(width) & (width > 0.0))] = 1.0
        low[~np.isfinite(low)] = 0.0
        return Pixels(low.astype(np.float32), (1.0 / width).astype(np.float32), channel)

    def __call__(self, x: Array) -> Array:
        """(n, channels, ...) float32 in [0, 1]; what is missing counts as the lowest value."""
        moved = x[:, None] if self.channel is None else np.moveaxis(x, self.channel, 1) if self.channel > 1 else x
        shape = (-1, *[1] * (moved.ndim - 2))
        scaled: Array = np.subtract(moved, self.low.reshape(shape), dtype=np.float32, order="C")
        scaled *= self.per_range.reshape(shape)
        np.fmax(scaled, np.float32(0.0), out=scaled)
        np.minimum(scaled, np.float32(1.0), out=scaled)
        return scaled

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"pixel_low": self.low, "pixel_per_range": self.per_range}

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> Pixels:
        """The one that `to_arrays` wrote."""
        return Pixels(arrays["pixel_low"], arrays["pixel_per_range"], channel_axis(spec))
