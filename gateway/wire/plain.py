"""The body of /predict: rows as nested JSON lists, or one encoded image."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from gateway.errors import BadRequest, TooLarge
from gateway.wire import jsondata
from gateway.wire.header import NO_DATA, refuse_double_keys, strictly
from gateway.wire.signature import Field, Signature
from models.batch import Array


class PlainRequest(Struct, forbid_unknown_fields=True):
    """`{"x": rows}` for a model with one input, else `{"inputs": {name: rows}}`; `endpoint` where there are several.

    `certify` asks for certificates.
    """

    x: Raw = NO_DATA
    inputs: dict[str, Raw] | None = None
    endpoint: str | None = None
    certify: bool = False

    @property
    def has_x(self) -> bool:
        """Whether `x` is there, and not null."""
        return self.x is not NO_DATA and bytes(self.x) != b"null"


_DECODER = msgspec.json.Decoder(PlainRequest)


def parse(body: bytes) -> PlainRequest:
    """The request as its JSON says.

    Raises:
        BadRequest: not JSON, not this schema, a key that stands twice, or neither or both of `x` and `inputs`.
    """
    request: PlainRequest = strictly(_DECODER, body)
    raws = [raw for raw in (request.x, *(request.inputs or {}).values()) if raw is not NO_DATA]
    refuse_double_keys(body, raws)
    if request.has_x == bool(request.inputs):
        raise BadRequest("request: expected either `x` or `inputs`, found " + ("both" if request.inputs else "neither"))
    return request


def tensors(signature: Signature, request: PlainRequest) -> Mapping[str, Array]:
    """The input tensors by name.

    Raises:
        BadRequest: not the model's inputs, types or shapes.
        TooLarge: too many rows or pixels.
    """
    named = {_only(signature).name: request.x} if request.has_x else request.inputs or {}
    unknown = [name for name in named if name not in signature.inputs]
    absent = [name for name in signature.inputs if name not in named]
    if unknown or absent:
        found = ", ".join(name[:64] for name in named)
        raise BadRequest(f"inputs: expected {', '.join(signature.inputs)}, found {found}")
    arrays = {name: _tensor(signature, signature.inputs[name], raw) for name, raw in named.items()}
    rows = {len(array) for array in arrays.values()}
    if len(rows) > 1:
        raise BadRequest(f"inputs: expected the same number of rows in each, found {sorted(rows)}")
    return arrays


def image(signature: Signature, body: bytes) -> Mapping[str, Array]:
    """The input tensor of a body that is one encoded image.

    Raises:
        BadRequest: the model takes no images, or not this one.
        TooLarge: too many pixels.
    """
    field = _only(signature)
    if field.image is None:
        raise BadRequest(f"endpoint {signature.endpoint!r}: expected JSON rows; the model takes no encoded images")
    return {field.name: field.image.decode([body], signature.limits.max_image_pixels)}


def _only(signature: Signature) -> Field:
    if len(signature.inputs) != 1:
        raise BadRequest(f"expected `inputs` with {', '.join(signature.inputs)}: the model has several inputs")
    return next(iter(signature.inputs.values()))


def _tensor(signature: Signature, field: Field, raw: Raw) -> Array:
    limits = signature.limits
    if field.image is not None and jsondata.holds_text(raw):
        rows = jsondata.images(field, raw)
        _check_rows(field, len(rows), limits.max_request_rows)
        return field.image.decode(rows, limits.max_image_pixels)
    array = jsondata.nested(field, raw, limits.max_request_rows * _row_values(field))
    _check_rows(field, len(array), limits.max_request_rows)
    if array.size == 0 or any(b not in (-1, a) for a, b in zip(array.shape[1:], field.row, strict=True)):
        expected = ", ".join("any" if size < 0 else str(size) for size in field.row)
        raise BadRequest(f"input {field.name!r}: expected shape [n, {expected}], found {list(array.shape)}")
    return array


def _check_rows(field: Field, found: int, limit: int) -> None:
    if found < 1:
        raise BadRequest(f"input {field.name!r}: expected at least one row, found none")
    if found > limit:
        raise TooLarge(f"input {field.name!r}: expected at most {limit} rows, found {found}")


def _row_values(field: Field) -> int:
    count = 1
    for size in field.row:
        count *= size if size > 0 else 2**20
    return count
