"""An inference request: its header becomes a plan, checked against the signature; the plan reads the tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Raw

from gateway.errors import BadRequest, TooLarge
from gateway.wire import binarydata, header, jsondata
from gateway.wire.signature import Field, Signature
from models.batch import Array

_CACHED_HEADER_BYTES = 4096
_CACHED_HEADERS = 256


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """Where one input's data are: `size` bytes of the body from `offset` after the header, or `raw` JSON.

    `plain` data are binary values side by side, neither text nor encoded images.
    """

    field: Field
    shape: tuple[int, ...]
    count: int
    encoded: bool  # PNG or JPEG rows for an image input
    offset: int = 0
    size: int = 0
    raw: Raw | None = None
    plain: bool = False


class Wanted(NamedTuple):
    """The outputs a caller asked for, each with whether as binary; None: all of them, as `binary` says."""

    binary: bool = False
    names: tuple[tuple[str, bool], ...] | None = None


ALL_BINARY = Wanted(binary=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """A header that was checked: all that doesn't depend on the values."""

    tensors: tuple[TensorPlan, ...]
    rows: int
    binary_bytes: int
    wanted: Wanted
    id: str
    certify: bool = False


class Reader:
    """Reads an endpoint's requests. Equal headers of binary requests are checked once: clients repeat them."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._plans: dict[bytes, Plan] = {}

    def read(self, body: bytes, header_bytes: int | None) -> tuple[Plan, Mapping[str, Array]]:
        """The plan and the input tensors by name.

        `header_bytes` is the length of the JSON in front of binary data, None where all is JSON.

        Raises:
            BadRequest: malformed; the text says what was expected and what was found.
            TooLarge: too many rows or pixels.
        """
        start = len(body) if header_bytes is None else header_bytes
        if start > len(body):
            raise BadRequest(f"Inference-Header-Content-Length: expected at most the body's {len(body)}, found {start}")
        if header_bytes is None:
            plan = self._plan(body)
        else:
            text = body[:start]
            plan = self._plans.get(text) or self._kept(text)
        if len(body) - start != plan.binary_bytes:
            raise BadRequest(f"expected {plan.binary_bytes} bytes of binary data, found {len(body) - start}")
        tensors = {}
        for each in plan.tensors:
            if each.plain:
                values = binarydata.array(each.field, body, start + each.offset, each.count, each.shape)
            else:
                values = self._tensor(each, body, start)
            tensors[each.field.name] = values
        return plan, tensors

    def _kept(self, text: bytes) -> Plan:
        plan = self._plan(text)
        if len(text) <= _CACHED_HEADER_BYTES and all(tensor.raw is None for tensor in plan.tensors):
            if len(self._plans) >= _CACHED_HEADERS:
                self._plans.clear()
            self._plans[text] = plan
        return plan

    def _plan(self, text: bytes) -> Plan:
        parsed = header.parse(text)
        tensors = []
        offset = 0
        for tensor in parsed.inputs:
            plan = _tensor_plan(self.signature, tensor, offset)
            offset += plan.size
            tensors.append(plan)
        _refuse_wrong_set(self.signature, [tensor.name for tensor in parsed.inputs])
        rows = {tensor.shape[0] for tensor in tensors}
        if len(rows) > 1:
            raise BadRequest(f"inputs: expected the same number of rows in each, found {sorted(rows)}")
        n = rows.pop()
        certify = _flag(parsed.parameters, "certify", False)
        if certify:
            self.signature.check_certify(n)
        return Plan(tuple(tensors), n, offset, _wanted(self.signature, parsed), parsed.id, certify)

    def _tensor(self, plan: TensorPlan, body: bytes, start: int) -> Array:
        field = plan.field
        if plan.encoded and field.image is not None:
            limit = self.signature.limits.max_image_pixels
            return field.image.decode(_encoded_rows(plan, body, start), limit)
        if plan.raw is not None:
            return jsondata.array(field, plan.raw, plan.shape)
        rows = binarydata.elements(field.name, body, start + plan.offset, plan.size, plan.count)
        return binarydata.texts(field.name, rows, plan.shape)


def _encoded_rows(plan: TensorPlan, body: bytes, start: int) -> list[bytes]:
    name = plan.field.name
    if plan.raw is None:
        return binarydata.elements(name, body, start + plan.offset, plan.size, plan.count)
    rows = jsondata.images(plan.field, plan.raw)
    if len(rows) != plan.count:
        raise BadRequest(f"input {name!r}: expected {plan.count} images, found {len(rows)}")
    return rows


def _tensor_plan(signature: Signature, tensor: header.TensorHeader, offset: int) -> TensorPlan:
    name = tensor.name[:64]
    field = signature.inputs.get(tensor.name)
    if field is None:
        raise BadRequest(f"input {name!r}: expected one of {', '.join(signature.inputs)}")
    encoded = tensor.datatype == "BYTES" and field.image is not None
    if tensor.datatype != field.datatype and not encoded:
        raise BadRequest(f"input {name!r}: expected datatype {field.takes}, found {tensor.datatype[:16]!r}")
    shape = tuple(tensor.shape)
    _check_shape(field, shape, encoded, signature.limits.max_request_rows)
    count = 1
    for size in shape:
        count *= size
    if "shared_memory_region" in tensor.parameters:
        raise BadRequest(f"input {name!r}: expected data in the request; shared memory is not supported")
    binary_bytes = _binary_size(field, tensor, count, encoded)
    raw = None if binary_bytes is not None else tensor.data
    plain = raw is None and tensor.datatype != "BYTES"
    return TensorPlan(field, shape, count, encoded, offset, binary_bytes or 0, raw, plain)


def _check_shape(field: Field, shape: tuple[int, ...], encoded: bool, max_rows: int) -> None:
    row = ((), (1,)) if encoded else (field.row,)
    if not any(_fits(shape, each) for each in row):
        expected = ["n", *("any" if size < 0 else size for size in row[0])]
        raise BadRequest(
            f"input {field.name!r}: expected shape [{', '.join(map(str, expected))}], found {_short(shape)}"
        )
    if shape[0] > max_rows:
        raise TooLarge(f"input {field.name!r}: expected at most {max_rows} rows, found {_short(shape[:1])}")


def _fits(shape: tuple[int, ...], row: tuple[int, ...]) -> bool:
    if len(shape) != len(row) + 1 or min(shape) < 1:
        return False
    return shape[1:] == row or all(b in (-1, a) and a < 2**31 for a, b in zip(shape[1:], row, strict=True))


def _short(shape: tuple[int, ...]) -> str:
    text = ", ".join(f"{size:.6g}" if abs(size) >= 10**12 else str(size) for size in map(_capped, shape[:16]))
    return f"[{text}, ...]" if len(shape) > 16 else f"[{text}]"


def _capped(size: int) -> int:
    return max(-(10**18), min(size, 10**18))  # a shape may hold numbers of any length; error texts should not


def _binary_size(field: Field, tensor: header.TensorHeader, count: int, encoded: bool) -> int | None:
    """How many bytes of binary data the tensor has; None where its data are in the JSON."""
    stated = tensor.parameters.get("binary_data_size")
    has_data = tensor.data is not header.NO_DATA
    if stated is None:
        if not has_data:
            raise BadRequest(f"input {field.name!r}: expected `data`, or `binary_data_size` in its parameters")
        return None
    if has_data:
        raise BadRequest(f"input {field.name!r}: expected either `data` or `binary_data_size`, found both")
    if type(stated) is not int or stated < 0:
        raise BadRequest(f"input {field.name!r}: expected binary_data_size as a number of bytes, found {stated!r:.32}")
    expected = count * field.dtype.itemsize
    if field.datatype != "BYTES" and not encoded and stated != expected:
        raise BadRequest(f"input {field.name!r}: expected binary_data_size {expected}, found {_capped(stated)}")
    return stated


def _refuse_wrong_set(signature: Signature, names: list[str]) -> None:
    twice = [name for name in signature.inputs if names.count(name) > 1]
    if twice:
        raise BadRequest(f"inputs: {twice[0]!r} stands twice")
    absent = [name for name in signature.inputs if name not in names]
    if absent:
        raise BadRequest(f"inputs: expected {', '.join(signature.inputs)}, found no {absent[0]!r}")


def _wanted(signature: Signature, parsed: header.RequestHeader) -> Wanted:
    default = _flag(parsed.parameters, "binary_data_output", False)
    if parsed.outputs is None:
        return ALL_BINARY if default else Wanted()
    names: list[tuple[str, bool]] = []
    known = (*signature.outputs, *signature.extras)
    for output in parsed.outputs:
        if output.name not in known:
            raise BadRequest(f"output {output.name[:64]!r}: expected one of {', '.join(known)}")
        if output.name in dict(names):
            raise BadRequest(f"outputs: {output.name!r} stands twice")
        if "classification" in output.parameters or "shared_memory_region" in output.parameters:
            raise BadRequest(f"output {output.name!r}: classification and shared memory are not supported")
        names.append((output.name, _flag(output.parameters, "binary_data", default)))
    return Wanted(default, tuple(names) or None)


def _flag(parameters: header.Parameters, name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"parameter {name}: expected true or false, found {value!r:.32}")
    return value
