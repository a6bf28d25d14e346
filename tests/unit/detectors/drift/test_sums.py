from __future__ import annotations

import numpy as np
import pytest

from detectors.drift.cells import CELLS
from detectors.drift.sums import Sums


def some(seed: int) -> Sums:
    rng = np.random.default_rng(seed)
    return Sums.of(rng.integers(0, CELLS, (50, 3)), rng.integers(-(2**20), 2**20, (50, 4)))


def test_counts_every_row_once_a_series() -> None:
    sums = some(0)
    assert sums.rows == 50
    assert sums.counts.shape == (3, CELLS)
    assert (sums.counts.sum(axis=1) == 50).all()
    assert sums.counts.dtype == sums.waves.dtype == np.int64


def test_adds_and_takes_away() -> None:
    assert some(0) + some(1) == some(1) + some(0)
    assert some(0) + some(1) - some(1) == some(0)
    assert some(0) + Sums.zero(3, 4) == some(0)
    assert some(0) != some(1)
    assert some(0) != "sums"


def test_survives_bytes_vectors_and_arrays() -> None:
    sums = some(2)
    assert Sums.from_bytes(sums.to_bytes()) == sums
    assert Sums.from_vector(sums.vector(), 3) == sums
    assert Sums.from_arrays(sums.to_arrays()) == sums
    assert hash(some(2)) == hash(sums)


def test_vectors_add_up_as_sums_do() -> None:
    assert Sums.from_vector(some(0).vector() + some(1).vector(), 3) == some(0) + some(1)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"12345", "expected whole 8-byte numbers, found 5 bytes"),
        (b"", "expected whole 8-byte numbers, found 0 bytes"),
        (np.array([1, 2, 3, 4], dtype="<i8").tobytes(), "expected 2 series and 3 waves, found 1 numbers"),
        (np.array([1, -2, 3], dtype="<i8").tobytes(), "expected -2 series"),
    ],
)
def test_bytes_that_are_no_sums_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sums.from_bytes(data)


def test_a_vector_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 64 numbers for 3 series, found 5"):
        Sums.from_vector(np.zeros(5), 3)
