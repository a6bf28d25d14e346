from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.data import smooth_images, to_grid
from benchmarks.serving.bodies import ARRAYS, OIP_BINARY, OIP_JSON, RAW, Answer, Format, request

LOGITS = np.arange(10, dtype=np.float32)[None]


def test_a_request_is_whole() -> None:
    sent = request("/infer", OIP_BINARY, smooth_images(1, seed=0))
    head, body = sent.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /infer HTTP/1.1\r\n")
    assert f"content-length: {len(body)}".encode() in head
    length = int(head.split(b"inference-header-content-length: ")[1].split(b"\r\n")[0])
    assert json.loads(body[:length])["inputs"][0]["parameters"]["binary_data_size"] == len(body) - length == 28 * 28 * 4


@pytest.mark.parametrize(
    ("form", "headers", "body"),
    [
        (RAW, {}, LOGITS.tobytes()),
        (ARRAYS, {}, json.dumps(LOGITS.tolist()).encode()),
        (OIP_JSON, {}, b'{"outputs": [{"name": "logits", "shape": [1, 10], "data": [0,1,2,3,4,5,6,7,8,9]}]}'),
    ],
)
def test_logits_are_read_from_an_answer(form: Format, headers: dict[str, str], body: bytes) -> None:
    np.testing.assert_array_equal(form.decode(Answer(200, headers, body)), LOGITS)


def test_logits_are_read_behind_another_binary_output() -> None:
    outputs = [
        {"name": "verdict", "shape": [1], "parameters": {"binary_data_size": 9}},
        {"name": "logits", "shape": [1, 10], "parameters": {"binary_data_size": 40}},
    ]
    head = json.dumps({"outputs": outputs}).encode()
    answer = Answer(
        200, {"inference-header-content-length": str(len(head))}, head + b"\5\0\0\0allow" + LOGITS.tobytes()
    )
    np.testing.assert_array_equal(OIP_BINARY.decode(answer), LOGITS)


def test_made_images_lie_on_the_grid_and_repeat() -> None:
    x = smooth_images(5, seed=1)
    assert x.shape == (5, 1, 28, 28)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, smooth_images(5, seed=1))
    np.testing.assert_array_equal(x, to_grid(x))
    assert 0.0 <= x.min() < x.max() <= 1.0
