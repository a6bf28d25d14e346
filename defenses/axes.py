"""Which axes of a batch are space, time and channels. Pure."""

from __future__ import annotations

import numpy as np

from models.batch import InputSpec


def smooth_axes(spec: InputSpec) -> tuple[int, ...]:
    """Axes of a batch along which neighboring values belong together: height and width, or time; () for tables.

    The time axis of a series with channels is its longest one; of equal ones, the last.
    """
    if spec.kind == "image" and len(spec.shape) == 3:
        return (1, 2) if spec.layout == "NHWC" else (2, 3)
    if spec.kind == "image" and len(spec.shape) == 2:
        return (1, 2)
    if spec.kind == "series":
        lengths = spec.shape
        return (1 + len(lengths) - 1 - int(np.argmax(lengths[::-1])),)
    return ()


def channel_axis(spec: InputSpec) -> int | None:
    """The axis of a batch that holds channels, None where there is none or, in a table, every column is one."""
    if spec.kind not in ("image", "series"):
        return None
    rest = set(range(1, 1 + len(spec.shape))) - set(smooth_axes(spec))
    return rest.pop() if len(rest) == 1 else None
