"""Bodies of /predict."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from gateway.errors import BadRequest, TooLarge
from gateway.wire import plain
from tests.wired import GRAY, field, image_field, png, sign

BOTH = sign(field(), field("INT64", (1,), "n"))


def read(document: Any, signed: Any = None) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return plain.tensors(signed or sign(max_request_rows=3), plain.parse(body))


@pytest.mark.parametrize(
    "document",
    [
        {"x": [[1, 2.5]]},
        {"inputs": {"x": [[1, 2.5]]}},
        {"x": None, "inputs": {"x": [[1, 2.5]]}, "endpoint": None},
        {"x": [[1, 2.5]], "inputs": {}, "endpoint": ""},  # what BentoML's client sends
    ],
)
def test_rows_are_read(document: Any) -> None:
    np.testing.assert_array_equal(read(document)["x"], np.array([[1, 2.5]], np.float32))


def test_several_inputs_come_by_name() -> None:
    found = read({"inputs": {"n": [[1], [2]], "x": [[1, 2], [3, 4]]}}, BOTH)
    assert found["n"].tolist() == [[1], [2]]
    assert found["x"].tolist() == [[1, 2], [3, 4]]


def test_images_may_come_as_base64_or_alone() -> None:
    signed = sign(image_field())
    text = base64.b64encode(png(GRAY)).decode()
    alone = plain.image(signed, png(GRAY))["x"]
    np.testing.assert_array_equal(read({"x": [text, text]}, signed)["x"], np.concatenate([alone, alone]))
    with pytest.raises(BadRequest, match="the model takes no encoded images"):
        plain.image(sign(), png(GRAY))


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"", "expected JSON, found nothing"),
        ([], "Expected `object`"),
        ({}, "expected either `x` or `inputs`, found neither"),
        ({"x": None}, "found neither"),
        ({"x": [[1, 2]], "inputs": {"x": [[1, 2]]}}, "found both"),
        ({"y": [[1, 2]]}, "unknown field `y`"),
        ({"x": [[1, 2]], "endpoint": 1}, "Expected `str | null`"),
        ({"x": []}, "expected rows, nested 2 deep, found 1 deep"),
        ({"x": [[]]}, "found [1, 0]"),
        ({"x": [1, 2]}, "expected rows, nested 2 deep, found 1 deep"),
        ({"x": [[[1, 2]]]}, "found 3 deep"),
        ({"x": [[1, 2, 3]]}, "expected shape [n, 2], found [1, 3]"),
        ({"x": [[1, 2], [3]]}, "ragged"),
        ({"x": [[1, "2"]]}, "Expected `float`, got `str`"),
        ({"x": [["1", "2"]]}, "Expected `float`, got `str`"),
        ({"x": [[1, None]]}, "Expected `float`, got `null`"),
        ({"x": [[1, True]]}, "Expected `float`, got `bool`"),
        (b'{"x":[[1,NaN]]}', "malformed"),
        (b'{"x":[[1,1e400]]}', "out of range"),
        (b'{"x":[[1,1e39]]}', "found inf"),
        (b'{"x":[[1,2]],"x":[[3,4]]}', "key 'x' stands twice"),
        (b'{"inputs":{"x":[[1,2]],"x":[[3,4]]}}', "key 'x' stands twice"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        ({"inputs": {"z": [[1, 2]]}}, "inputs: expected x, found z"),
    ],
)
def test_malformed_bodies_are_refused(document: Any, told: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(told)):
        read(document)


def test_rows_are_bounded() -> None:
    for rows in (4, 5000):
        with pytest.raises((TooLarge, BadRequest), match="expected at most"):
            read({"x": [[1, 2]] * rows})
    with pytest.raises(TooLarge, match="expected at most 1 rows"):
        read({"x": ["aGVsbG8="] * 2}, sign(image_field(), max_request_rows=1))


def test_several_inputs_must_all_be_there_with_as_many_rows() -> None:
    with pytest.raises(BadRequest, match="the model has several inputs"):
        read({"x": [[1, 2]]}, BOTH)
    with pytest.raises(BadRequest, match="inputs: expected x, n, found x"):
        read({"inputs": {"x": [[1, 2]]}}, BOTH)
    with pytest.raises(BadRequest, match="same number of rows"):
        read({"inputs": {"n": [[1]], "x": [[1, 2], [3, 4]]}}, BOTH)
