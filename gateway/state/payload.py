"""Arrays to compressed bytes and back, named by their content. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass

import numpy as np

from models.batch import Array

_LEVEL = 1  # higher levels cost the serving machine more than they save on disk
_SMALL = 4096  # bytes that are stored as they are: compressing them saves little, and hands the interpreter lock over
_QUIET = 2047  # bytes that hashlib takes without handing it over
_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True, slots=True)
class Blob:
    """An array's `.npy` bytes, compressed where they are many. `digest` is their sha256: dtype and shape count too."""

    digest: str
    data: bytes


def pack(array: Array) -> Blob:
    """The array as a blob.

    Raises:
        ValueError: the array holds Python objects.
    """
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    raw = buffer.getvalue()
    if len(raw) > _SMALL:
        return Blob(hashlib.sha256(raw).hexdigest(), zlib.compress(raw, _LEVEL))
    digest = hashlib.sha256()
    for start in range(0, len(raw), _QUIET):
        digest.update(raw[start : start + _QUIET])
    return Blob(digest.hexdigest(), raw)


def unpack(data: bytes) -> Array:
    """The array that `pack` took.

    Raises:
        ValueError: the bytes are not one.
    """
    try:
        raw = data if data.startswith(_MAGIC) else zlib.decompress(data)
        array: Array = np.load(io.BytesIO(raw), allow_pickle=False)
    except zlib.error as exc:
        raise ValueError(f"not a packed array: {exc}") from None
    return array
