from __future__ import annotations

import numpy as np
import pytest

from gateway.training.corruptions import WEARS, kinds, worn
from models.batch import Array, Bounds, InputSpec

IMAGE = InputSpec("image", np.dtype("float32"), (3, 8, 8), Bounds(0.0, 1.0), "NCHW")
SERIES = InputSpec("series", np.dtype("float32"), (2, 30))


def rows(spec: InputSpec, n: int = 60) -> Array:
    return np.random.default_rng(0).random((n, *spec.shape)).astype(np.float32)


@pytest.mark.parametrize("spec", [IMAGE, SERIES], ids=["image", "series"])
def test_wear_is_mild_stays_in_range_and_repeats_itself(spec: InputSpec) -> None:
    x = rows(spec)
    made = mixed(x, spec, seed=0)
    assert made.shape == x.shape
    assert made.dtype == x.dtype
    assert made.min() >= 0.0
    assert made.max() <= 1.0
    assert (np.abs(made - x).reshape(len(x), -1).max(axis=1) > 0.0).all()
    np.testing.assert_array_equal(made, mixed(x, spec, seed=0))
    assert (made != mixed(x, spec, seed=1)).any()


def mixed(x: Array, spec: InputSpec, seed: int) -> Array:
    which = {kind: np.arange(start, len(x), len(kinds(spec))) for start, kind in enumerate(kinds(spec))}
    return worn(x, spec, which, np.random.default_rng(seed))


@pytest.mark.parametrize("name", WEARS)
def test_each_wear_keeps_a_flat_row_flat(name: str) -> None:
    x = np.full((4, 1, 8, 8), 0.5)
    made = WEARS[name](x, np.random.default_rng(0), (2, 3))
    spread = made.std(axis=(1, 2, 3))
    assert (spread < {"noise": 0.03, "stored": 0.01}.get(name, 1e-9)).all()
    assert np.abs(made.mean(axis=(1, 2, 3)) - 0.5).max() <= 0.1


def test_a_step_aside_moves_every_row_by_one() -> None:
    x = rows(IMAGE, 20)
    made = WEARS["aside"](x, np.random.default_rng(0), (2, 3))
    inner = x[:, :, 1:-1, 1:-1]
    moves = [made[:, :, 1 + i : 7 + i, 1 + j : 7 + j] for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    assert all(any(np.array_equal(inner[row], moved[row]) for moved in moves) for row in range(20))


def test_only_pictures_are_stored_as_jpeg_and_tables_know_no_wear() -> None:
    assert "stored" in kinds(IMAGE)
    assert "stored" not in kinds(SERIES)
    assert "stored" not in kinds(InputSpec("image", np.dtype("float32"), (7, 8, 8), Bounds(0.0, 1.0), "NCHW"))
    assert kinds(InputSpec("table", np.dtype("float32"), (5,))) == ()
