"""The state of an evaluation as bytes."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from gateway.tracking.drift.state import Unreadable, pack, unpack
from tests import drifting


def test_a_state_goes_on_from_its_bytes() -> None:
    monitor = drifting.monitor()
    state = monitor.start()
    for bucket in range(30):
        state = monitor.fold(state, bucket, monitor.encoder.sums(drifting.rows(33, bucket))).state
    again = unpack(pack(state))
    assert all(np.array_equal(array, again.to_arrays()[name]) for name, array in state.to_arrays().items())
    sums = monitor.encoder.sums(drifting.rows(40, 99, shift=3.0))
    assert monitor.fold(again, 30, sums).started == monitor.fold(state, 30, sums).started


@pytest.mark.parametrize(
    "packed", [b"", b"no state", zlib.compress(b"no arrays"), pack(drifting.monitor().start())[:50]]
)
def test_other_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack(packed)
