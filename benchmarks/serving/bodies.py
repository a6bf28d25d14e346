"""One image as each server wants it, and the logits out of each server's answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import Images
from benchmarks.serving.nets import CLASSES
from models.batch import Array

JSON = {"content-type": "application/json"}
BYTES = {"content-type": "application/octet-stream"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: headers have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Format:
    """A way to write one row (1, 1, 28, 28) as headers and body, and to read (1, 10) logits from an answer."""

    title: str
    encode: Callable[[Images], tuple[Mapping[str, str], bytes]]
    decode: Callable[[Answer], Array]


def _encode_raw(x: Images) -> tuple[Mapping[str, str], bytes]:
    return BYTES, x.tobytes()


def _decode_raw(answer: Answer) -> Array:
    return np.frombuffer(answer.body, np.float32).reshape(-1, CLASSES)


def _tensor(x: Images) -> dict[str, object]:
    return {"name": "image", "shape": list(x.shape), "datatype": "FP32"}


def _encode_binary(x: Images) -> tuple[Mapping[str, str], bytes]:
    body = x.tobytes()
    tensor = {**_tensor(x), "parameters": {"binary_data_size": len(body)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return {**BYTES, "inference-header-content-length": str(len(head))}, head + body


def _decode_binary(answer: Answer) -> Array:
    split = int(answer.headers["inference-header-content-length"])
    offset = split
    for output in json.loads(answer.body[:split])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        if output["name"] == "logits":
            return np.frombuffer(answer.body, np.float32, size // 4, offset).reshape(output["shape"])
        offset += size
    raise ValueError("no output is named logits")


def _encode_json(x: Images) -> tuple[Mapping[str, str], bytes]:
    return JSON, json.dumps({"inputs": [{**_tensor(x), "data": x.ravel().tolist()}]}).encode()


def _decode_json(answer: Answer) -> Array:
    outputs = {output["name"]: output for output in json.loads(answer.body)["outputs"]}
    return np.array(outputs["logits"]["data"], np.float32).reshape(outputs["logits"]["shape"])


def _encode_arrays(x: Images) -> tuple[Mapping[str, str], bytes]:
    return JSON, json.dumps({"image": x.tolist()}).encode()


def _decode_arrays(answer: Answer) -> Array:
    return np.array(json.loads(answer.body), np.float32)


RAW = Format("raw bytes", _encode_raw, _decode_raw)
OIP_BINARY = Format("OIP binary", _encode_binary, _decode_binary)
OIP_JSON = Format("OIP JSON", _encode_json, _decode_json)
ARRAYS = Format("JSON arrays", _encode_arrays, _decode_arrays)


def request(path: str, form: Format, x: Images) -> bytes:
    """The bytes of a whole keep-alive HTTP/1.1 POST."""
    headers, body = form.encode(x)
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def written(folder: Path, path: str, form: Format, x: Images) -> Path:
    """The folder, with nothing but one request a row in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for row in range(len(x)):
        (folder / f"{row:05}").write_bytes(request(path, form, x[row : row + 1]))
    return folder


def post(port: int, path: str, form: Format, x: Images, timeout_s: float = 10.0) -> Answer:
    """Sends one request on a connection of its own."""
    from http.client import HTTPConnection

    headers, body = form.encode(x)
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("POST", path, body, dict(headers))
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
