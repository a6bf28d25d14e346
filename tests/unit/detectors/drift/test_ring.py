from __future__ import annotations

import numpy as np
import pytest

from detectors.drift.cells import CELLS
from detectors.drift.ring import Ring
from detectors.drift.sums import Sums

ZERO = Sums.zero(2, 3)


def one(rows: int) -> Sums:
    return Sums.of(np.zeros((rows, 2), dtype=np.int64) + CELLS - 1, np.ones((rows, 3), dtype=np.int64))


def test_holds_the_last_buckets_in_whatever_order_they_come() -> None:
    ring = Ring(3)
    assert ring.total(ZERO) == ZERO
    assert all(ring.add(bucket, one(bucket)) for bucket in (5, 4, 6, 5))
    assert ring.total(ZERO) == one(20)
    assert ring.total(ZERO, 1) == one(6)
    assert ring.total(ZERO, 2) == one(16)


def test_forgets_what_is_older_and_counts_what_comes_too_late() -> None:
    ring = Ring(3)
    ring.add(5, one(2))
    assert ring.add(8, one(1))
    assert ring.total(ZERO) == one(1)
    assert not ring.add(5, one(7))
    assert ring.late_rows == 7
    assert len(ring) == 1


def test_buckets_without_rows_pass_too() -> None:
    ring = Ring(2)
    ring.add(1, one(4))
    ring.add(100, ZERO)
    assert ring.total(ZERO) == ZERO


def test_needs_a_bucket() -> None:
    with pytest.raises(ValueError, match="at least one bucket"):
        Ring(0)
