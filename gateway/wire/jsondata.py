"""Tensor data in JSON: strictly of the stated type, in range, and as many values as the shape says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Raw

from gateway.errors import BadRequest
from gateway.wire.finite import refuse_non_finite
from gateway.wire.header import strictly
from gateway.wire.images import from_base64
from gateway.wire.signature import Field
from models.batch import Array

MAX_RANK = 16


def array(field: Field, raw: bytes | Raw, shape: tuple[int, ...]) -> Array:
    """The tensor, nested or flat in JSON, of exactly this shape.

    Raises:
        BadRequest: values of another kind, out of the type's range, not finite, or not as many as the shape says.
    """
    text = bytes(raw)
    depth = _depth(text, field.name)
    if depth not in (1, len(shape)):
        raise BadRequest(f"input {field.name!r}: expected data flat or nested {len(shape)} deep, found {depth} deep")
    _count(field, text, shape)
    found = _values(field, text, depth)
    if found.shape != shape and (depth != 1 or found.size != np.prod(shape, dtype=object)):
        raise BadRequest(f"input {field.name!r}: expected data of shape {list(shape)}, found {list(found.shape)}")
    return found.reshape(shape)


def nested(field: Field, raw: bytes | Raw, max_values: int) -> Array:
    """The tensor whose shape is how its data are nested, rows outermost.

    Raises:
        BadRequest: as for `array`, or nested in another way than the input's rows are.
    """
    text = bytes(raw)
    rank = len(field.row) + 1
    depth = _depth(text, field.name)
    if depth != rank:
        raise BadRequest(f"input {field.name!r}: expected rows, nested {rank} deep, found {depth} deep")
    found = text.count(b",") + 1
    if field.datatype != "BYTES" and found > max_values:
        raise BadRequest(f"input {field.name!r}: expected at most {max_values} values, found {found}")
    return _values(field, text, depth)


def images(field: Field, raw: bytes | Raw) -> list[bytes]:
    """Encoded images, as base64 text in a flat list (or one a row in a list of its own).

    Raises:
        BadRequest: not a list of text, or not base64.
    """
    text = bytes(raw)
    depth = _depth(text, field.name)
    if depth > 2:
        raise BadRequest(f"input {field.name!r}: expected a list of base64 texts, found one nested {depth} deep")
    values = strictly(_decoder("BYTES", depth, False), text, f"input {field.name!r}: data")
    rows = values if depth == 1 else [text for row in values for text in row]
    return [from_base64(row, index) for index, row in enumerate(rows)]


def holds_text(raw: bytes | Raw) -> bool:
    """Whether the first value is a string."""
    return bytes(raw)[:256].lstrip(b"[ \t\r\n").startswith(b'"')


def _depth(text: bytes, name: str) -> int:
    """How many lists open before the first value."""
    depth = 0
    for byte in text[:256]:
        if byte == 0x5B:  # [
            depth += 1
        elif byte not in b" \t\r\n":
            break
    if not 1 <= depth <= MAX_RANK:
        raise BadRequest(f"input {name!r}: expected data as a list nested at most {MAX_RANK} deep, found {depth} deep")
    return depth


def _count(field: Field, text: bytes, shape: tuple[int, ...]) -> None:
    """Commas tell how many numbers there are before any is decoded."""
    expected = 1
    for size in shape:
        expected *= size
    found = text.count(b",") + 1
    if field.datatype != "BYTES" and found != expected:
        raise BadRequest(f"input {field.name!r}: expected {expected} values for shape {list(shape)}, found {found}")


def _values(field: Field, text: bytes, depth: int) -> Array:
    what = f"input {field.name!r}: data"
    values = strictly(_decoder(field.datatype, depth, field.missing), text, what)
    try:
        found = _CONVERT.get(field.dtype.kind, _integers)(values, field)
    except OverflowError as exc:
        raise BadRequest(f"{what}: expected {field.datatype}, found a number out of its range") from exc
    except ValueError as exc:
        raise BadRequest(f"{what}: ragged: lists beside each other differ in length") from exc
    if found.ndim != depth:
        raise BadRequest(f"{what}: expected rows with values, found an empty list")
    return found


def _floats(values: list[Any], field: Field) -> Array:
    wide = np.array(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        found = wide.astype(field.dtype)
    refuse_non_finite(found, field)
    return found


def _integers(values: list[Any], field: Field) -> Array:
    if field.dtype == np.uint64:
        return np.array(values, dtype=np.uint64)
    return np.array(values, dtype=np.int64).astype(field.dtype)  # bounds were checked by the decoder


def _texts(values: list[Any], field: Field) -> Array:
    return np.array(values, dtype=object)


def _booleans(values: list[Any], field: Field) -> Array:
    return np.array(values, dtype=np.bool_)


_CONVERT: dict[str, Callable[[list[Any], Field], Array]] = {"f": _floats, "O": _texts, "b": _booleans}


@cache
def _decoder(datatype: str, depth: int, missing: bool) -> msgspec.json.Decoder[Any]:
    kind: Any = _kind(datatype, missing)
    for _ in range(depth):
        kind = list[kind]
    return msgspec.json.Decoder(kind)


def _kind(datatype: str, missing: bool) -> Any:
    if datatype.startswith("FP"):
        return float | None if missing else float
    if datatype in ("BOOL", "BYTES"):
        return bool if datatype == "BOOL" else str
    if datatype in ("INT64", "UINT64"):  # the ends of these are checked by numpy
        return int if datatype == "INT64" else Annotated[int, Meta(ge=0)]
    ends = np.iinfo(datatype.lower())
    return Annotated[int, Meta(ge=int(ends.min), le=int(ends.max))]
