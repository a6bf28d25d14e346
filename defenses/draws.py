"""Random draws that belong to a row: the same for the same row and seed, whatever rows it comes among."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from models.batch import Array


def row_rng(row: Array, seed: int) -> np.random.Generator:
    """A generator for one row. Who doesn't know the seed can't tell its draws."""
    key = seed.to_bytes(8, "little", signed=True)
    digest = blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16, key=key).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
