"""Signatures and requests to try the wire on, without any model."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from gateway.config import Disclose, Limits
from gateway.wire.images import ImageCodec
from gateway.wire.signature import Field, Signature
from models.backend import DATATYPES, TensorSpec
from models.batch import Array, Bounds, InputSpec

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
IMAGE = InputSpec("image", np.dtype("float32"), (1, 3, 4), Bounds(0.0, 1.0), "NCHW")


def field(datatype: str = "FP32", row: tuple[int, ...] = (2,), name: str = "x", *, missing: bool = False) -> Field:
    return Field(name, datatype, DATATYPES[datatype], row, missing)


def image_field(spec: InputSpec = IMAGE) -> Field:
    return Field("x", "FP32", spec.dtype, spec.shape, image=ImageCodec.of(spec))


def sign(
    *fields: Field, outputs: Sequence[TensorSpec] = (), disclose: Disclose = "verdict", **limits: Any
) -> Signature:
    inputs = {each.name: each for each in fields or (field(),)}
    given = outputs or (TensorSpec("y", "FP32", (-1, 2)),)
    return Signature("m", "v1", inputs, {each.name: each for each in given}, Limits(**limits), disclose)


def tensor(data: Any = ((1.0, 2.0),), shape: Sequence[int] = (1, 2), **changed: Any) -> dict[str, Any]:
    """One input of a JSON request; a value of None removes a key."""
    found = {"name": "x", "datatype": "FP32", "shape": list(shape), "data": data} | changed
    return {key: value for key, value in found.items() if value is not None}


def request(*tensors: Mapping[str, Any], **keys: Any) -> bytes:
    return json.dumps({"inputs": list(tensors) or [tensor()], **keys}).encode()


def binary(*arrays: tuple[Mapping[str, Any], bytes], **keys: Any) -> tuple[bytes, int]:
    """The body of a binary request, and the length of its JSON."""
    header = request(*[head for head, _ in arrays], **keys)
    return header + b"".join(blob for _, blob in arrays), len(header)


def packed(x: Array, datatype: str = "FP32", name: str = "x") -> tuple[dict[str, Any], bytes]:
    """One binary input."""
    size = {"binary_data_size": x.nbytes}
    return {"name": name, "datatype": datatype, "shape": list(x.shape), "parameters": size}, x.tobytes()


def lengths(*rows: bytes) -> bytes:
    """BYTES elements in binary."""
    return b"".join(len(row).to_bytes(4, "little") + row for row in rows)


def png(pixels: Array, form: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(file, form, **options)
    return file.getvalue()
