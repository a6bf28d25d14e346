"""Tensor data in the binary extension: little-endian values in C order; a BYTES element has a four-byte length."""

from __future__ import annotations

import numpy as np

from gateway.errors import BadRequest
from gateway.wire.finite import refuse_non_finite
from gateway.wire.signature import Field
from models.batch import Array


def array(field: Field, body: bytes, offset: int, count: int, shape: tuple[int, ...]) -> Array:
    """The tensor of `count` values (one at least) that starts at `offset`: a view of the body where alignment allows.

    Raises:
        BadRequest: values that aren't finite, or a BOOL other than 0 and 1.
    """
    dtype = field.dtype
    if offset % dtype.itemsize:  # numpy is slow on values that aren't aligned; a copy of the bytes is quick
        body = body[offset : offset + count * dtype.itemsize]
        offset = 0
    values: Array = np.frombuffer(body, np.uint8 if dtype.kind == "b" else dtype, count, offset)
    if dtype.kind == "f":
        refuse_non_finite(values, field)
    elif dtype.kind == "b":
        if values.max() > 1:
            raise BadRequest(f"input {field.name!r}: expected BOOL as bytes 0 and 1, found {values.max()}")
        values = values.view(np.bool_)
    return values.reshape(shape)


def elements(name: str, body: bytes, offset: int, size: int, count: int) -> list[bytes]:
    """The `count` elements of a BYTES tensor that takes `size` bytes from `offset`.

    Raises:
        BadRequest: the lengths don't add up.
    """
    found: list[bytes] = []
    end = offset + size
    while offset + 4 <= end and len(found) < count:
        start = offset + 4
        offset = start + int.from_bytes(body[offset:start], "little")
        if offset > end:
            raise BadRequest(
                f"input {name!r}: BYTES element {len(found)} runs {offset - end} bytes over the tensor's end"
            )
        found.append(body[start:offset])
    if len(found) != count or offset != end:
        raise BadRequest(
            f"input {name!r}: expected {count} BYTES elements in {size} bytes, "
            f"found {len(found)} and {end - offset} bytes over"
        )
    return found


def texts(name: str, rows: list[bytes], shape: tuple[int, ...]) -> Array:
    """BYTES elements as strings.

    Raises:
        BadRequest: not UTF-8.
    """
    try:
        decoded = [row.decode() for row in rows]
    except UnicodeDecodeError as exc:
        raise BadRequest(f"input {name!r}: expected UTF-8 text in BYTES elements, found {exc.reason}") from exc
    return np.array(decoded, dtype=object).reshape(shape)


def pack(values: Array) -> bytes:
    """The bytes of an output tensor."""
    if values.dtype.kind not in "OUS":
        return values.tobytes()
    parts: list[bytes] = []
    for value in values.reshape(-1):
        data = value if isinstance(value, bytes) else str(value).encode()
        parts += (len(data).to_bytes(4, "little"), data)
    return b"".join(parts)
