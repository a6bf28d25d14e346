"""Where space, time and channels are."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.axes import channel_axis, smooth_axes
from models.batch import InputSpec, Kind, Layout


@pytest.mark.parametrize(
    ("kind", "shape", "layout", "smooth", "channel"),
    [
        ("image", (3, 8, 9), "NCHW", (2, 3), 1),
        ("image", (8, 9, 3), "NHWC", (1, 2), 3),
        ("image", (8, 9), None, (1, 2), None),
        ("series", (50,), None, (1,), None),
        ("series", (3, 50), None, (2,), 1),
        ("series", (50, 3), None, (1,), 2),
        ("series", (4, 4), None, (2,), 1),
        ("table", (7,), None, (), None),
        ("tokens", (7,), None, (), None),
    ],
)
def test_axes(
    kind: Kind, shape: tuple[int, ...], layout: Layout | None, smooth: tuple[int, ...], channel: int | None
) -> None:
    spec = InputSpec(kind, np.dtype("float32"), shape, layout=layout)
    assert smooth_axes(spec) == smooth
    assert channel_axis(spec) == channel
