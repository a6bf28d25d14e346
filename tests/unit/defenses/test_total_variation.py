"""The flattest row near the given one."""

from __future__ import annotations

import numpy as np

from defenses.total_variation import TotalVariationSpec
from models.batch import Array, Bounds, InputSpec

IMAGE = InputSpec("image", np.dtype("float64"), (1, 10, 9), Bounds(0, 1), "NCHW")


def cost(u: Array, x: Array, weight: float) -> float:
    down, right = np.diff(u, axis=-2)[..., :, :], np.diff(u, axis=-1)
    down = np.pad(down, ((0, 0), (0, 0), (0, 1), (0, 0)))
    right = np.pad(right, ((0, 0), (0, 0), (0, 0), (0, 1)))
    return float(((u - x) ** 2).sum() / 2 + weight * np.sqrt(down**2 + right**2).sum())


def test_no_small_change_makes_it_better() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 0.8, (1, 1, 10, 9))
    u = TotalVariationSpec(weight=0.1, iterations=400).build(IMAGE).apply(x)
    best = cost(u, x, 0.1)
    assert best < cost(x, x, 0.1)
    for size in (1e-2, 1e-3):
        assert all(cost(u + size * rng.standard_normal(u.shape), x, 0.1) > best for _ in range(50))


def test_the_usual_number_of_iterations_is_enough() -> None:
    x = np.random.default_rng(1).random((1, 1, 10, 9))
    few, many = (TotalVariationSpec(iterations=n).build(IMAGE).apply(x) for n in (30, 1000))
    assert np.abs(few - many).max() < 1 / 255


def test_an_edge_stays_and_noise_goes() -> None:
    clean = np.zeros((1, 1, 10, 9))
    clean[..., 4:] = 0.8
    noisy = clean + np.random.default_rng(2).normal(0.1, 0.03, clean.shape)
    pure = TotalVariationSpec(weight=0.1).build(IMAGE).apply(np.clip(noisy, 0, 1))
    assert pure[..., 4].min() - pure[..., 3].max() > 0.6
    assert pure[..., :4].std() < 0.01


def test_two_rows_and_channels_do_not_touch() -> None:
    spec = InputSpec("image", np.dtype("float64"), (4, 4, 2), Bounds(0, 1), "NHWC")
    x = np.zeros((2, 4, 4, 2))
    x[1], x[0, ..., 1] = 1.0, 0.5
    assert np.allclose(TotalVariationSpec(weight=1.0).build(spec).apply(x), x)


def test_of_a_series_the_closed_form_of_two_steps() -> None:
    spec = InputSpec("series", np.dtype("float64"), (2,), Bounds(0, 1))
    pure = TotalVariationSpec(weight=0.1, iterations=200).build(spec).apply(np.array([[0.2, 0.8], [0.5, 0.6]]))
    assert np.allclose(pure, [[0.3, 0.7], [0.55, 0.55]])


def test_large_batches_go_in_parts() -> None:
    x = np.random.default_rng(3).random((400, 1, 10, 9))
    purifier = TotalVariationSpec(iterations=3).build(IMAGE)
    assert np.array_equal(purifier.apply(x)[399], purifier.apply(x[399:])[0])
