"""The state of an evaluation as a store keeps it."""

from __future__ import annotations

import io
import zipfile
import zlib

import numpy as np

from detectors.drift.state import State


class Unreadable(ValueError):
    """The bytes are no state."""


def pack(state: State) -> bytes:
    """Whole numbers, compressed."""
    file = io.BytesIO()
    np.savez(file, **state.to_arrays())
    return zlib.compress(file.getvalue(), 1)


def unpack(packed: bytes) -> State:
    """What `pack` wrote.

    Raises:
        Unreadable: it is something else.
    """
    try:
        with np.load(io.BytesIO(zlib.decompress(packed)), allow_pickle=False) as arrays:
            return State.from_arrays(dict(arrays))
    except (KeyError, TypeError, ValueError, OSError, zlib.error, zipfile.BadZipFile) as exc:
        raise Unreadable(f"expected the state of an evaluation, found {len(packed)} bytes: {exc}") from exc
