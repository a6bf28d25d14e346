from __future__ import annotations

import numpy as np
import pytest

from gateway.training.corruptions import WEARS, corrupted
from models.batch import Array, Bounds, InputSpec

IMAGE = InputSpec("image", np.dtype("float32"), (3, 8, 8), Bounds(0.0, 1.0), "NCHW")
SERIES = InputSpec("series", np.dtype("float32"), (2, 30))
TABLE = InputSpec("table", np.dtype("float32"), (5,))


def rows(spec: InputSpec, n: int = 60) -> Array:
    return np.random.default_rng(0).random((n, *spec.shape)).astype(np.float32)


@pytest.mark.parametrize("spec", [IMAGE, SERIES], ids=["image", "series"])
def test_wear_is_mild_stays_in_range_and_repeats_itself(spec: InputSpec) -> None:
    x = rows(spec)
    worn = corrupted(x, spec, seed=0)
    assert worn.shape == x.shape
    assert worn.dtype == x.dtype
    assert worn.min() >= 0.0
    assert worn.max() <= 1.0
    assert (np.abs(worn - x).reshape(len(x), -1).max(axis=1) > 0.0).all()
    np.testing.assert_array_equal(worn, corrupted(x, spec, seed=0))
    assert (worn != corrupted(x, spec, seed=1)).any()


def test_a_table_has_none() -> None:
    x = rows(TABLE)
    assert corrupted(x, TABLE, seed=0) is x


@pytest.mark.parametrize("name", WEARS)
def test_each_wear_keeps_a_flat_row_flat(name: str) -> None:
    x = np.full((4, 1, 8, 8), 0.5)
    worn = WEARS[name](x, np.random.default_rng(0), (2, 3))
    spread = worn.std(axis=(1, 2, 3))
    assert (spread < (0.03 if name == "noise" else 1e-9)).all()
    assert np.abs(worn.mean(axis=(1, 2, 3)) - 0.5).max() <= 0.1


def test_a_step_aside_moves_every_row_by_one() -> None:
    x = rows(IMAGE, 20)
    worn = WEARS["aside"](x, np.random.default_rng(0), (2, 3))
    inner = x[:, :, 1:-1, 1:-1]
    moves = [worn[:, :, 1 + i : 7 + i, 1 + j : 7 + j] for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    assert all(any(np.array_equal(inner[row], moved[row]) for moved in moves) for row in range(20))
