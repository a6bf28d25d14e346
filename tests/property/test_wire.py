"""Whatever tensor is sent, in JSON or in binary, is what the model gets; whatever it answers is what is read back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gateway.errors import BadRequest, TooLarge
from gateway.verdict import Judged, Verdicts
from gateway.wire import plain
from gateway.wire.request import Reader
from gateway.wire.response import Writer
from models.backend import DATATYPES, Outputs, TensorSpec
from models.batch import Array, Batch
from tests.wired import binary, field, lengths, packed, request, sign, tensor

NUMERIC = sorted(set(DATATYPES) - {"BYTES"})


def rows(datatype: str) -> st.SearchStrategy[Array]:
    dtype = DATATYPES[datatype]
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    return hnp.arrays(dtype, shapes, elements=hnp.from_dtype(dtype, **finite))  # type: ignore[arg-type]


typed = st.sampled_from(NUMERIC).flatmap(lambda datatype: st.tuples(st.just(datatype), rows(datatype)))


@given(typed, st.booleans())
def test_json_tensors_arrive_as_they_were(sent: tuple[str, Array], flat: bool) -> None:
    datatype, x = sent
    data = (x.ravel() if flat else x).tolist()
    body = request(tensor(data, x.shape, datatype=datatype))
    plan, found = Reader(sign(field(datatype, x.shape[1:]))).read(body, None)
    assert plan.rows == len(x)
    np.testing.assert_array_equal(found["x"], x)
    assert found["x"].dtype == x.dtype


@given(typed, st.text(max_size=8))
def test_binary_tensors_arrive_as_they_were(sent: tuple[str, Array], request_id: str) -> None:
    datatype, x = sent
    body, size = binary(packed(x, datatype), id=request_id)
    plan, found = Reader(sign(field(datatype, x.shape[1:]))).read(body, size)
    assert plan.id == request_id
    np.testing.assert_array_equal(found["x"], x)
    assert found["x"].dtype == x.dtype


@given(typed)
def test_plain_rows_arrive_as_they_were(sent: tuple[str, Array]) -> None:
    datatype, x = sent
    body = json.dumps({"x": x.tolist()}).encode()
    found = plain.tensors(sign(field(datatype, x.shape[1:])), plain.parse(body))
    np.testing.assert_array_equal(found["x"], x)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_texts_arrive_as_they_were(texts: list[str]) -> None:
    reader = Reader(sign(field("BYTES", (1,))))
    blob = lengths(*[text.encode() for text in texts])
    head = {"name": "x", "datatype": "BYTES", "shape": [len(texts), 1]}
    _, there = reader.read(*binary((head | {"parameters": {"binary_data_size": len(blob)}}, blob)))
    _, here = reader.read(request(head | {"data": texts}), None)
    assert there["x"].ravel().tolist() == here["x"].ravel().tolist() == texts


@given(st.binary(max_size=200), st.none() | st.integers(0, 250))
@settings(max_examples=300)
def test_noise_is_refused(body: bytes, header_bytes: int | None) -> None:
    with pytest.raises((BadRequest, TooLarge)):
        Reader(sign()).read(body, header_bytes)


nothing_or = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
documents = st.recursive(
    nothing_or, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("x") | documents,
            "datatype": st.sampled_from(["FP32", "INT8"]) | documents,
            "shape": st.just([1, 2]) | documents,
            "data": st.just([1.0, 2.0]) | documents,
            "parameters": st.just({"binary_data_size": 8}) | documents,
        },
    )
)
@settings(max_examples=300)
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    with suppress(BadRequest, TooLarge):
        _, found = Reader(sign()).read(json.dumps({"inputs": [document]}).encode(), None)
        assert found["x"].shape == (1, 2)
        assert np.isfinite(found["x"]).all()


@given(typed, st.booleans())
def test_answers_are_read_back_as_they_were(sent: tuple[str, Array], as_binary: bool) -> None:
    datatype, y = sent
    spec = TensorSpec("y", datatype, (-1, *y.shape[1:]))
    clean = np.zeros(len(y), np.uint8)
    verdicts = Verdicts(clean, clean, np.ones(len(y)), np.ones(len(y)), clean, ())
    judged = Judged(Batch(np.zeros((len(y), 1))), verdicts, Outputs({"y": y}))
    reader = Reader(sign(outputs=[spec]))
    plan, _ = reader.read(request(parameters={"binary_data_output": as_binary}), None)
    headers, body = Writer(reader.signature).write(judged, 0, plan.wanted, "")
    size = int(dict(headers).get(b"inference-header-content-length", b"%d" % len(body)))
    output = json.loads(body[:size])["outputs"][0]
    data = np.frombuffer(body[size:], y.dtype) if as_binary else np.array(output["data"], dtype=y.dtype)
    np.testing.assert_array_equal(data.reshape(output["shape"]), y)
    assert output["datatype"] == datatype
