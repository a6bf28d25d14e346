"""Arrays to compressed bytes and back, named by their content. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass

import numpy as np

from models.batch import Array

_LEVEL = 1  # higher levels cost the serving machine more than they save on disk


@dataclass(frozen=True, slots=True)
class Blob:
    """An array's `.npy` bytes, compressed. `digest` is the sha256 before compression: dtype and shape count too."""

    digest: str
    data: bytes


def pack(array: Array) -> Blob:
    """The array as a blob.

    Raises:
        ValueError: the array holds Python objects.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    raw = buffer.getbuffer()
    return Blob(hashlib.sha256(raw).hexdigest(), zlib.compress(raw, _LEVEL))


def unpack(data: bytes) -> Array:
    """The array that `pack` took.

    Raises:
        ValueError: the bytes are not one.
    """
    try:
        array: Array = np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False)
    except zlib.error as exc:
        raise ValueError(f"not a packed array: {exc}") from None
    return array
