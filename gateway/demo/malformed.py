"""Requests that are not the protocol, or not this model's input: each must be answered with a 4xx."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.batch import Array

ROW = [0.0] * 64
TENSOR: Mapping[str, Any] = {"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": ROW}
PATH = "/v2/models/digits/infer"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request and what is wrong with it."""

    name: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    method: str = "POST"
    path: str = PATH


def requests() -> list[Malformed]:
    """One of each kind."""
    return [*_not_json(), *_wrong_values(), *_wrong_tensors(), *_wrong_binary(), *_wrong_places()]


def valid(row: Array) -> bytes:
    """A well-formed request for one row, (1, 8, 8): what every malformed one differs from in one thing."""
    return _infer({**TENSOR, "data": [float(value) for value in row.ravel()]})


def _infer(*tensors: Mapping[str, Any]) -> bytes:
    return json.dumps({"inputs": list(tensors)}).encode()


def _with_value(spelled: str) -> bytes:
    """A valid request but for its first value, which is spelled so."""
    return _infer({**TENSOR, "data": ["here", *ROW[1:]]}).replace(b'"here"', spelled.encode())


def _not_json() -> list[Malformed]:
    return [
        Malformed("not JSON", b"{inputs: []"),
        Malformed("cut short", _infer(TENSOR)[:-20]),
        Malformed("nested 10,000 deep", b"[" * 10_000 + b"]" * 10_000),
        Malformed("a key twice", b'{"inputs": [], ' + _infer(TENSOR)[1:]),
    ]


def _wrong_values() -> list[Malformed]:
    spelled = {"NaN": "NaN", "Infinity": "Infinity", "1e400": "1e400", "null": "null", "text": '"0.5"'}
    return [Malformed(f"a value is {name}", _with_value(value)) for name, value in spelled.items()]


def _wrong_tensors() -> list[Malformed]:
    return [
        Malformed("another datatype", _infer({**TENSOR, "datatype": "INT64", "data": [0] * 64})),
        Malformed("another rank", _infer({**TENSOR, "shape": [1, 64]})),
        Malformed("shape and data disagree", _infer({**TENSOR, "shape": [2, 1, 8, 8]})),
        Malformed("a negative shape", _infer({**TENSOR, "shape": [-1, 1, 8, 8]})),
        Malformed("an overflowing shape", _infer({**TENSOR, "shape": [2**62, 1, 8, 8]})),
        Malformed("no input", _infer()),
        Malformed("an input twice", _infer(TENSOR, TENSOR)),
        Malformed("an unknown input", _infer({**TENSOR, "name": "z"})),
    ]


def _wrong_binary() -> list[Malformed]:
    head = {key: value for key, value in TENSOR.items() if key != "data"}
    header = _infer({**head, "parameters": {"binary_data_size": 300}})

    def of(name: str, length: int) -> Malformed:
        headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(length)}
        return Malformed(name, header + bytes(256), headers)

    return [
        of("binary_data_size is wrong", len(header)),
        of("Inference-Header-Content-Length is wrong", len(header) - 3),
    ]


def _wrong_places() -> list[Malformed]:
    return [
        Malformed("an unknown model", _infer(TENSOR), path="/v2/models/letters/infer"),
        Malformed("GET where POST is due", b"", method="GET"),
        Malformed("a body over the limit", bytes(17 * 2**20)),
    ]
