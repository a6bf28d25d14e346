"""A random size in a random place, the same for the same row."""

from __future__ import annotations

import numpy as np
import pytest

from defenses.base import Unsuitable
from defenses.resize_and_pad import ResizeAndPadSpec
from models.batch import Bounds, InputSpec

IMAGE = InputSpec("image", np.dtype("float32"), (1, 20, 20), Bounds(0, 1), "NCHW")
WHITE = np.ones((1, 1, 20, 20), dtype=np.float32)


def test_the_image_lies_whole_inside_the_padding() -> None:
    for seed in range(20):
        inside = ResizeAndPadSpec(shrink=0.3, seed=seed).build(IMAGE).apply(WHITE)[0, 0] == 1.0
        rows, columns = inside.any(axis=1), inside.any(axis=0)
        assert 14 <= rows.sum() == columns.sum() <= 20
        assert np.array_equal(inside, np.outer(rows, columns))


def test_another_seed_or_row_is_drawn_anew() -> None:
    rows = np.random.default_rng(0).uniform(0.9, 1.0, (30, 1, 20, 20)).astype(np.float32)
    shapes = {
        tuple(np.flatnonzero(row[0].any(axis=1))) for row in ResizeAndPadSpec(shrink=0.4).build(IMAGE).apply(rows)
    }
    seeds = {ResizeAndPadSpec(shrink=0.4, seed=seed).build(IMAGE).apply(WHITE).tobytes() for seed in range(-5, 5)}
    assert len(shapes) > 10
    assert len(seeds) > 5


def test_a_ramp_stays_a_ramp() -> None:
    x = np.broadcast_to(np.linspace(0.2, 0.8, 20, dtype=np.float32), (1, 1, 20, 20)).copy()
    pure = ResizeAndPadSpec(shrink=0.5, seed=3).build(IMAGE).apply(x)[0, 0]
    row = pure[pure.any(axis=1)][0]
    steps = np.diff(row[row > 0])
    assert np.allclose(steps[1:-1], steps[1], atol=1e-5)
    assert steps[1] > 0.8 * 0.6 / 19


@pytest.mark.parametrize(("bounds", "around"), [((-1, 1), 0.0), ((0.5, 1), 0.5), ((-3, -1), -1.0)])
def test_around_is_zero_or_the_bound_nearest_to_it(bounds: tuple[float, float], around: float) -> None:
    spec = InputSpec("image", np.dtype("float64"), (8, 8, 1), Bounds(*bounds), "NHWC")
    inside = np.mean(bounds) + 0.1
    pure = ResizeAndPadSpec(shrink=0.9, seed=1).build(spec).apply(np.full((1, 8, 8, 1), inside))
    assert np.allclose(np.unique(pure.round(9)), sorted([around, inside]))


def test_missing_values_are_refused() -> None:
    spec = InputSpec("image", np.dtype("float32"), (1, 4, 4), None, "NCHW", missing=True)
    with pytest.raises(Unsuitable, match="would move missing ones"):
        ResizeAndPadSpec().build(spec)
