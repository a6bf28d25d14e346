"""Rows as a small network takes them: pixels of 2x2 (pairs of steps) side by side as channels. Pure.

Half the resolution is a quarter of the work: Zhang, Zuo, Zhang: FFDNet (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from defenses.axes import channel_axis, smooth_axes
from models.batch import Array, InputSpec


@dataclass(frozen=True, slots=True)
class Folding:
    """(n, *row shape) to (n, channels, height / 2, width / 2) and back; a series has height 1; a table stays as it is.

    An odd size is filled up by its last line.
    """

    axes: tuple[int, ...]
    channel: int | None

    @staticmethod
    def of(spec: InputSpec) -> Folding:
        """How rows of this input fold."""
        return Folding(smooth_axes(spec), channel_axis(spec))

    @property
    def kernel(self) -> tuple[int, ...]:
        """Of the layers that go with it."""
        return {0: (), 1: (1, 3), 2: (3, 3)}[len(self.axes)]

    @property
    def block(self) -> int:
        """Neighbors that lie side by side as channels."""
        return int(2 ** len(self.axes))

    def fold(self, x: Array) -> Array:
        """Contiguous."""
        if not self.axes:
            return np.ascontiguousarray(x)
        x = self._first(x)
        down = 2 if len(self.axes) == 2 else 1
        x = np.pad(x, ((0, 0), (0, 0), (0, x.shape[2] % down), (0, x.shape[3] % 2)), mode="edge")
        n, channels, height, width = x.shape
        parts = x.reshape(n, channels, height // down, down, width // 2, 2).transpose(0, 1, 3, 5, 2, 4)
        return np.ascontiguousarray(parts.reshape(n, channels * down * 2, height // down, width // 2))

    def unfold(self, folded: Array, shape: tuple[int, ...]) -> Array:
        """`shape` is that of the rows with their batch axis."""
        if not self.axes:
            return folded
        n, channels, height, width = folded.shape
        down = 2 if len(self.axes) == 2 else 1
        parts = folded.reshape(n, channels // (down * 2), down, 2, height, width).transpose(0, 1, 4, 2, 5, 3)
        x = parts.reshape(n, channels // (down * 2), height * down, width * 2)
        return self._last(x, shape)

    def _first(self, x: Array) -> Array:
        """(n, channels, height, width)."""
        x = x[:, None] if self.channel is None else np.moveaxis(x, self.channel, 1)
        return x[:, :, None] if len(self.axes) == 1 else x

    def _last(self, x: Array, shape: tuple[int, ...]) -> Array:
        sizes = [shape[axis] for axis in self.axes]
        x = x[..., : sizes[-1]]
        x = x[:, :, 0] if len(sizes) == 1 else x[:, :, : sizes[0]]
        x = x[:, 0] if self.channel is None else np.moveaxis(x, 1, self.channel)
        return np.ascontiguousarray(x)
