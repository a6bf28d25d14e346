"""Vectors of whole numbers as every store keeps them: 64 bits each, the lowest byte first."""

from __future__ import annotations

import numpy as np

from models.batch import Array

_LITTLE = np.dtype("<i8")


def packed(vector: Array) -> bytes:
    """`vector` (n,) of integers."""
    return np.asarray(vector, dtype=_LITTLE).tobytes()


def unpacked(data: bytes) -> Array:
    """(n,) int64."""
    return np.frombuffer(data, dtype=_LITTLE).astype(np.int64)
