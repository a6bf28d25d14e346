"""The JSON part of an inference request: a strict schema, and a check that no key stands twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from gateway.errors import BadRequest, TooLarge

Parameters = dict[str, str | bool | int | float]
NO_DATA = Raw(b"")
MAX_HEADER_BYTES = 64 * 1024  # of JSON beside tensor data
MAX_ID_CHARS = 256


class TensorHeader(Struct, forbid_unknown_fields=True):
    """One input; `data` stays undecoded until its size has been checked."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters = {}
    data: Raw = NO_DATA


class OutputHeader(Struct, forbid_unknown_fields=True):
    """One requested output."""

    name: str
    parameters: Parameters = {}


class RequestHeader(Struct, forbid_unknown_fields=True):
    """An inference request."""

    inputs: list[TensorHeader]
    id: str = ""
    parameters: Parameters = {}
    outputs: list[OutputHeader] | None = None


_DECODER = msgspec.json.Decoder(RequestHeader)
_CUT_SHORT = "Input data was truncated"  # as msgspec says it


def parse(text: bytes) -> RequestHeader:
    """The request as its JSON says.

    Raises:
        BadRequest: not JSON, not the protocol's schema, or a key that stands twice.
        TooLarge: more than 64 KiB beside tensor data.
    """
    header: RequestHeader = strictly(_DECODER, text)
    raws = [tensor.data for tensor in header.inputs if tensor.data is not NO_DATA]
    refuse_double_keys(text, raws)
    if len(header.id) > MAX_ID_CHARS:
        raise BadRequest(f"id: expected at most {MAX_ID_CHARS} characters, found {len(header.id)}")
    return header


def strictly(decoder: msgspec.json.Decoder[Any], text: bytes | Raw, what: str = "request") -> Any:
    """What the decoder makes of the text; its complaints become refusals."""
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as exc:
        found = str(exc) if text else "expected JSON, found nothing"
        raise BadRequest(f"{what}: {found.replace(_CUT_SHORT, 'the JSON ends too early: truncated')}") from exc
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{what}: expected UTF-8 text, found {exc.reason} at byte {exc.start}") from exc
    except RecursionError as exc:
        raise BadRequest(f"{what}: JSON nested too deeply") from exc


def refuse_double_keys(text: bytes, raws: Sequence[Raw]) -> None:
    """Refuses valid JSON in which an object has one key twice; the slices `raws` of it, tensor data, are not looked at.

    msgspec keeps the last of two equal keys in silence: another parser in front of this one may keep the first, and
    would then have seen another request.
    """
    rest = _without(text, raws) if raws else text
    if len(rest) > MAX_HEADER_BYTES:
        raise TooLarge(f"expected at most {MAX_HEADER_BYTES} bytes of JSON beside tensor data, found {len(rest)}")
    try:
        json.loads(rest, object_pairs_hook=_no_twins)
    except RecursionError as exc:
        raise BadRequest("request: JSON nested too deeply") from exc


def _no_twins(pairs: list[tuple[str, Any]]) -> None:
    keys = {key for key, _ in pairs}
    if len(keys) != len(pairs):
        seen: set[str] = set()
        twin = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadRequest(f"request: key {twin[:64]!r} stands twice in one object")


def _without(text: bytes, raws: Sequence[Raw]) -> bytes:
    """The text with 0 in place of each slice, found by its address: the same bytes may stand elsewhere too."""
    base = _address(text)
    parts: list[bytes] = []
    end = 0
    for start, size in sorted((_address(raw) - base, len(memoryview(raw))) for raw in raws):
        parts += (text[end:start], b"0")
        end = start + size
    parts.append(text[end:])
    return b"".join(parts)


def _address(buffer: bytes | Raw) -> int:
    return int(np.frombuffer(buffer, dtype=np.uint8).__array_interface__["data"][0])
