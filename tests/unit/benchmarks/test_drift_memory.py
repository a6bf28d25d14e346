from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.drift.memory import Resident, apart

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MEGABYTES = 40


def _taken() -> tuple[float, float]:
    memory = Resident()
    kept = np.ones(MEGABYTES * 10**6, dtype=np.uint8)
    passing = np.ones_like(kept)
    del passing
    making = memory.most()
    return making, memory.most() * int(kept[0])


def test_the_most_resident_is_told_since_last_asked() -> None:
    making, watching = apart(_taken)
    assert making == pytest.approx(2 * MEGABYTES, abs=2)  # the system's own count lags by some pages
    assert watching == pytest.approx(MEGABYTES, abs=2)


def test_what_fails_apart_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        apart(divmod, 1, 0)
