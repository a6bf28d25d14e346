"""Requests that are read, and a long table of those that are refused, each with what it is told."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from gateway.errors import BadRequest, Refusal, TooLarge
from gateway.wire.header import MAX_HEADER_BYTES
from gateway.wire.request import ALL_BINARY, Reader, Wanted
from tests import wired
from tests.wired import binary, field, lengths, packed, request, sign, tensor

X = np.array([[1.0, 2.0], [3.0, 4.5]], dtype=np.float32)


def read(body: bytes, header_bytes: int | None = None, *fields: Any, **limits: Any) -> Any:
    return Reader(sign(*fields, **limits)).read(body, header_bytes)


@pytest.mark.parametrize("data", [X.tolist(), X.ravel().tolist()], ids=["nested", "flat"])
def test_json_data_may_be_nested_or_flat(data: Any) -> None:
    plan, tensors = read(request(tensor(data, (2, 2)), id="seven", parameters={"whatever": 1}))
    np.testing.assert_array_equal(tensors["x"], X)
    assert tensors["x"].dtype == np.float32
    assert (plan.rows, plan.id, plan.wanted) == (2, "seven", Wanted())


def test_binary_data_are_read_in_place_where_aligned_and_equal_anywhere() -> None:
    for padding in range(4):
        body, size = binary(packed(X), id="x" * padding)
        _, tensors = read(body, size)
        np.testing.assert_array_equal(tensors["x"], X)
        assert tensors["x"].flags.aligned


def test_inputs_may_mix_json_and_binary() -> None:
    other = tensor([[7], [8]], (2, 1), name="n", datatype="INT64")
    head, blob = packed(X)
    header = request(other, head)
    _, tensors = read(header + blob, len(header), field(), field("INT64", (1,), "n"))
    np.testing.assert_array_equal(tensors["x"], X)
    np.testing.assert_array_equal(tensors["n"], [[7], [8]])


def test_equal_headers_are_parsed_once_and_different_ones_are_not_confused() -> None:
    reader = Reader(sign())
    one, size = binary(packed(X))
    first, _ = reader.read(one, size)
    again, tensors = reader.read(one[:size] + (X * 2).tobytes(), size)
    assert again is first
    np.testing.assert_array_equal(tensors["x"], X * 2)
    other, other_size = binary(packed(X[:1]))
    plan, _ = reader.read(other, other_size)
    assert plan.rows == 1


def test_many_different_headers_are_not_all_kept() -> None:
    reader = Reader(sign())
    for number in range(600):
        reader.read(*binary(packed(X), id=str(number)))
    assert len(reader._plans) <= 256


def test_strings_pass_through() -> None:
    texts = field("BYTES", (1,), "t")
    _, tensors = read(request(tensor([["a"], ["ü"]], (2, 1), name="t", datatype="BYTES")), None, texts)
    assert tensors["t"].tolist() == [["a"], ["ü"]]
    blob = lengths(b"a", "ü".encode())
    head = {"name": "t", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": len(blob)}}
    _, tensors = read(*binary((head, blob)), texts)
    assert tensors["t"].tolist() == [["a"], ["ü"]]


def test_outputs_and_their_encoding_can_be_asked_for() -> None:
    plan, _ = read(request(outputs=[{"name": "y", "parameters": {"binary_data": True}}, {"name": "verdict"}]))
    assert plan.wanted.names == (("y", True), ("verdict", False))
    plan, _ = read(request(parameters={"binary_data_output": True}))
    assert plan.wanted is ALL_BINARY


def test_nan_is_a_value_where_the_model_takes_missing_ones() -> None:
    missing = field(missing=True)
    _, tensors = read(request(tensor([[None, 1.0]])), None, missing)
    np.testing.assert_array_equal(tensors["x"], [[np.nan, 1.0]])
    _, tensors = read(*binary(packed(np.array([[np.nan, 1]], np.float32))), missing)
    np.testing.assert_array_equal(tensors["x"], [[np.nan, 1.0]])
    with pytest.raises(BadRequest, match="found inf"):
        read(*binary(packed(np.array([[np.inf, 1]], np.float32))), missing)


def test_large_finite_values_are_not_taken_for_infinite_ones() -> None:
    huge = np.full((1, 2), np.finfo(np.float32).max, dtype=np.float32)  # their squares overflow
    _, tensors = read(*binary(packed(huge)))
    np.testing.assert_array_equal(tensors["x"], huge)


RAW = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":%s}]}'
BAD_JSON: list[tuple[str, bytes, str]] = [
    ("empty", b"", "expected JSON, found nothing"),
    ("cut short", request()[:-5], "truncated"),
    ("no JSON", b"hello", "malformed"),
    ("a list", b"[]", "Expected `object`, got `array`"),
    ("trailing text", request() + b"x", "trailing characters"),
    ("not UTF-8", request().replace(b'"x"', b'"\xff"'), "UTF-8"),
    ("no inputs", b"{}", "missing required field `inputs`"),
    ("inputs empty", b'{"inputs":[]}', "found no 'x'"),
    ("unknown key", request(inputz=[]), "unknown field `inputz`"),
    ("unknown tensor key", request(tensor(dtype="FP32")), "unknown field `dtype`"),
    ("NaN", (RAW % "[NaN,1]").encode(), "malformed"),
    ("Infinity", (RAW % "[Infinity,1]").encode(), "malformed"),
    ("-Infinity", (RAW % "[-Infinity,1]").encode(), "malformed"),
    ("1e400", (RAW % "[1e400,1]").encode(), "out of range"),
    ("-1e400", (RAW % "[-1e400,1]").encode(), "out of range"),
    ("1e39 in FP32", (RAW % "[1e39,1]").encode(), "expected finite numbers in FP32, found inf at 0"),
    ("four hundred digits", (RAW % f"[{'9' * 400},1]").encode(), "out of range"),
    ("leading zero", (RAW % "[01,1]").encode(), "malformed"),
    ("trailing comma", (RAW % "[1,2,]").encode(), "trailing comma"),
    ("null", (RAW % "[null,1]").encode(), "Expected `float`, got `null`"),
    ("null data", (RAW % "null").encode(), "expected data as a list"),
    ("a string", (RAW % '["1",1]').encode(), "Expected `float`, got `str`"),
    ("a string of NaN", (RAW % '["NaN",1]').encode(), "Expected `float`, got `str`"),
    ("a bool", (RAW % "[true,1]").encode(), "Expected `float`, got `bool`"),
    ("an object", (RAW % "[{},1]").encode(), "Expected `float`, got `object`"),
    ("data no list", (RAW % "1").encode(), "expected data as a list"),
    ("too few values", (RAW % "[1]").encode(), "expected 2 values for shape [1, 2], found 1"),
    ("too many values", (RAW % "[1,2,3]").encode(), "expected 2 values for shape [1, 2], found 3"),
    ("no values", (RAW % "[]").encode(), "found 1"),
    ("wrongly nested", (RAW % "[[1],[2]]").encode(), "expected data of shape [1, 2], found [2, 1]"),
    ("nested too deep", (RAW % "[[[1,2]]]").encode(), "nested 2 deep, found 3 deep"),
    ("ragged", request(tensor([[1], [2, 3, 4]], (2, 2))), "ragged"),
    ("half nested", (RAW % "[[1],2]").encode(), "Expected `array`, got `int`"),
    ("wrong datatype", request(tensor(datatype="FP64")), "expected datatype FP32, found 'FP64'"),
    ("BYTES where no image is taken", request(tensor(datatype="BYTES")), "expected datatype FP32, found 'BYTES'"),
    ("no datatype there is", request(tensor(datatype="FLOAT" * 9)), "found 'FLOATFLOATFLOATF'"),
    ("wrong rank", request(tensor([1.0, 2.0], (2,))), "expected shape [n, 2], found [2]"),
    ("wrong row shape", request(tensor([[1, 2, 3]], (1, 3))), "expected shape [n, 2], found [1, 3]"),
    ("shape disagrees", request(tensor([[1.0, 2.0]], (2, 2))), "expected 4 values for shape [2, 2], found 2"),
    ("negative shape", request(tensor(shape=(-1, 2))), "found [-1, 2]"),
    ("negative twice", request(tensor(shape=(-1, -2))), "found [-1, -2]"),
    ("no rows", request(tensor([], (0, 2))), "expected shape [n, 2], found [0, 2]"),
    ("overflowing shape", request(tensor(shape=(2**62, 2))), "expected at most 8 rows, found [1e+18]"),
    ("shape of a thousand digits", request(tensor(shape=(1, 10**1000))), "found [1, 1e+18]"),
    ("empty shape", request(tensor(shape=())), "expected shape [n, 2], found []"),
    ("many axes", request(tensor(shape=[1] * 500)), ", ...]"),
    ("float in shape", request(tensor(shape=(1.0, 2))), "Expected `int`, got `float`"),  # type: ignore[arg-type]
    ("bool in shape", request(tensor(shape=(True, 2))), "Expected `int`, got `bool`"),
    ("no data", request(tensor(None)), "expected `data`, or `binary_data_size`"),
    ("data and binary", request(tensor(parameters={"binary_data_size": 8})), "found both"),
    ("unknown input", request(tensor(name="z")), "input 'z': expected one of x"),
    ("input twice", request(tensor(), tensor()), "inputs: 'x' stands twice"),
    ("shared memory", request(tensor(None, parameters={"shared_memory_region": "r"})), "shared memory"),
    ("deep parameters", request(parameters={"a": {"b": 1}}), "got `object` - at `$.parameters[...]`"),
    ("unknown output", request(outputs=[{"name": "z"}]), "output 'z': expected one of y, verdict"),
    ("output twice", request(outputs=[{"name": "y"}, {"name": "y"}]), "outputs: 'y' stands twice"),
    ("classification", request(outputs=[{"name": "y", "parameters": {"classification": 1}}]), "not supported"),
    ("binary_data no bool", request(outputs=[{"name": "y", "parameters": {"binary_data": 1}}]), "true or false"),
    ("binary_data_output no bool", request(parameters={"binary_data_output": "yes"}), "true or false"),
    ("long id", request(id="i" * 257), "at most 256 characters, found 257"),
    ("id no text", request(id=7), "Expected `str`, got `int`"),
    ("deep nesting", (RAW % ("[" * 100_000 + "]" * 100_000)).encode(), "nested"),
    ("deep nesting beside data", b'{"id":"a","inputs":[{"data":' + b"[" * 100_000, "nested too deeply"),
    ("key twice", request().replace(b'{"inputs"', b'{"id":"a","id":"b","inputs"'), "key 'id' stands twice"),
    ("key twice in a tensor", request().replace(b'"name"', b'"name": "y", "name"'), "key 'name' stands twice"),
    ("key twice, once escaped", request().replace(b'"name"', b'"n\\u0061me": "y", "name"'), "key 'name' stands"),
    ("data twice", request().replace(b'"data"', b'"data": [[9, 9]], "data"'), "key 'data' stands twice"),
    ("inputs twice", request().replace(b'{"inputs"', b'{"inputs": [], "inputs"'), "key 'inputs' stands twice"),
    (
        "parameter twice",
        request(parameters={"a": 1}).replace(b'"a": 1', b'"a": 1, "a": 2'),
        "key 'a' stands twice",
    ),
]


@pytest.mark.parametrize(("body", "told"), [case[1:] for case in BAD_JSON], ids=[case[0] for case in BAD_JSON])
def test_malformed_json_is_refused(body: bytes, told: str) -> None:
    with pytest.raises((BadRequest, TooLarge), match=re.escape(told)) as refused:
        read(body, max_request_rows=8)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("datatype", "data", "told"),
    [
        ("INT8", "[128,0]", "<= 127"),
        ("INT8", "[-129,0]", ">= -128"),
        ("UINT8", "[256,0]", "<= 255"),
        ("UINT8", "[-1,0]", ">= 0"),
        ("INT16", "[32768,0]", "<= 32767"),
        ("UINT16", "[65536,0]", "<= 65535"),
        ("INT32", "[2147483648,0]", "<= 2147483647"),
        ("UINT32", "[4294967296,0]", "<= 4294967295"),
        ("INT64", "[9223372036854775808,0]", "out of its range"),
        ("INT64", "[-9223372036854775809,0]", "out of its range"),
        ("UINT64", "[18446744073709551616,0]", "out of its range"),
        ("UINT64", "[-1,0]", ">= 0"),
        ("INT32", "[1.0,0]", "Expected `int`, got `float`"),
        ("INT64", "[1e2,0]", "Expected `int`, got `float`"),
        ("INT64", "[true,0]", "Expected `int`, got `bool`"),
        ("INT64", '["1",0]', "Expected `int`, got `str`"),
        ("INT64", "[null,0]", "Expected `int`, got `null`"),
        ("BOOL", "[1,0]", "Expected `bool`, got `int`"),
        ("FP16", "[70000,0]", "found inf at 0"),
        ("FP64", "[1e309,0]", "out of range"),
        ("BYTES", "[1,2]", "Expected `str`, got `int`"),
    ],
)
def test_json_numbers_must_be_of_the_type_and_in_its_range(datatype: str, data: str, told: str) -> None:
    body = RAW.replace("FP32", datatype) % data
    with pytest.raises(BadRequest, match=re.escape(told)):
        read(body.encode(), None, field(datatype))


@pytest.mark.parametrize("datatype", ["INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64"])
def test_the_ends_of_integer_types_are_values(datatype: str) -> None:
    ends = np.iinfo(datatype.lower())
    body = RAW.replace("FP32", datatype) % f"[{ends.min},{ends.max}]"
    _, tensors = read(body.encode(), None, field(datatype))
    assert tensors["x"].tolist() == [[int(ends.min), int(ends.max)]]
    assert tensors["x"].dtype == np.dtype(datatype.lower())


HEAD, BLOB = packed(X)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (binary((HEAD, BLOB[:-1])), "expected 16 bytes of binary data, found 15"),
        (binary((HEAD, BLOB + b"x")), "expected 16 bytes of binary data, found 17"),
        (binary((HEAD | {"parameters": {"binary_data_size": 15}}, BLOB)), "expected binary_data_size 16, found 15"),
        (binary((HEAD | {"parameters": {"binary_data_size": 10**30}}, BLOB)), "expected binary_data_size 16"),
        (binary((HEAD | {"parameters": {"binary_data_size": -16}}, BLOB)), "expected binary_data_size as a number"),
        (binary((HEAD | {"parameters": {"binary_data_size": "16"}}, BLOB)), "expected binary_data_size as a number"),
        (binary((HEAD | {"parameters": {"binary_data_size": 16.0}}, BLOB)), "expected binary_data_size as a number"),
        (binary((HEAD | {"parameters": {"binary_data_size": True}}, BLOB)), "expected binary_data_size as a number"),
        ((binary((HEAD, BLOB))[0], 10_000), "expected at most the body's"),
        ((binary((HEAD, BLOB))[0], binary((HEAD, BLOB))[1] - 1), "truncated"),
        ((binary((HEAD, BLOB))[0], binary((HEAD, BLOB))[1] + 1), "malformed"),
        ((binary((HEAD, BLOB))[0], 0), "expected JSON, found nothing"),
        ((request(), len(request()) - 1), "truncated"),
        ((binary((HEAD, BLOB))[0], None), "malformed"),
        (binary((HEAD, np.array([[1, np.nan], [0, 0]], np.float32).tobytes())), "found nan at 1"),
        (binary((HEAD, np.array([[1, 0], [0, np.inf]], np.float32).tobytes())), "found inf at 3"),
        (binary((HEAD, np.array([[1, 0], [-np.inf, 0]], np.float32).tobytes())), "found -inf at 2"),
    ],
)
def test_malformed_binary_is_refused(body: tuple[bytes, int | None], told: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(told)):
        read(*body)


@pytest.mark.parametrize("datatype", ["FP16", "FP64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_float_type_carries_what_is_not_finite(datatype: str, value: float) -> None:
    x = np.array([[value, 1.0]], dtype=field(datatype).dtype)
    with pytest.raises(BadRequest, match="expected finite numbers"):
        read(*binary(packed(x, datatype)), field(datatype))


def test_bools_are_zeros_and_ones() -> None:
    _, tensors = read(*binary(packed(np.array([[True, False]]), "BOOL")), field("BOOL"))
    assert tensors["x"].tolist() == [[True, False]]
    with pytest.raises(BadRequest, match="expected BOOL as bytes 0 and 1, found 2"):
        read(*binary(packed(np.array([[2, 0]], np.uint8), "BOOL")), field("BOOL"))


@pytest.mark.parametrize(
    ("blob", "told"),
    [
        (lengths(b"a"), "expected 2 BYTES elements in 5 bytes, found 1"),
        (lengths(b"a", b"b", b"c"), "found 2 and 5 bytes over"),
        (lengths(b"a", b"b")[:-1], "runs 1 bytes over the tensor's end"),
        (lengths(b"a") + (2**32 - 1).to_bytes(4, "little"), "runs 4294967295 bytes over the tensor's end"),
        (lengths(b"a") + b"\0\0", "found 1 and 2 bytes over"),
        (lengths(b"a", b"\xff"), "expected UTF-8 text"),
    ],
)
def test_malformed_bytes_tensors_are_refused(blob: bytes, told: str) -> None:
    head = {"name": "x", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": len(blob)}}
    with pytest.raises(BadRequest, match=re.escape(told)):
        read(*binary((head, blob)), field("BYTES", (1,)))


def test_rows_are_bounded_before_anything_is_decoded() -> None:
    with pytest.raises(TooLarge, match="expected at most 3 rows, found"):
        read(request(tensor([], (4, 2))), max_request_rows=3)


def test_json_beside_the_data_is_bounded() -> None:
    with pytest.raises(TooLarge, match="bytes of JSON beside tensor data"):
        read(request(parameters={"a": "x" * MAX_HEADER_BYTES}))
    first = "[" + ",".join(["1"] * MAX_HEADER_BYTES) + "]"  # a key given twice hides data from the decoder
    twice = request().replace(b'"data"', b'"data": %b, "data"' % first.encode())
    with pytest.raises(TooLarge, match="bytes of JSON beside tensor data"):
        read(twice)


def test_much_data_is_no_long_header() -> None:
    rows = 5000
    plan, _ = read(request(tensor([[1.5, 2.5]] * rows, (rows, 2))), max_request_rows=rows)
    assert plan.rows == rows


def test_inputs_must_agree_on_rows_and_be_complete() -> None:
    fields = (field(), field("INT64", (1,), "n"))
    numbers = tensor([[7], [8]], (2, 1), name="n", datatype="INT64")
    with pytest.raises(BadRequest, match=re.escape("same number of rows in each, found [1, 2]")):
        read(request(tensor(), numbers), None, *fields)
    with pytest.raises(BadRequest, match="found no 'n'"):
        read(request(), None, *fields)


def test_free_axes_take_any_size_but_none_or_absurd_ones() -> None:
    free = field(row=(-1,))
    _, tensors = read(request(tensor([[1.0, 2.0, 3.0]], (1, 3))), None, free)
    assert tensors["x"].shape == (1, 3)
    for shape in ((1, 0), (1, -3), (1, 2**31), (1, 2**70)):
        with pytest.raises(BadRequest):
            read(request(tensor([[1.0, 2.0, 3.0]], shape)), None, free)


def test_every_cut_of_a_good_request_is_refused() -> None:
    body, size = binary(packed(X), id="a")
    for end in range(len(body)):
        with pytest.raises(Refusal):
            read(body[:end], min(size, end))
    text = request(tensor(X.tolist(), (2, 2)))
    for end in range(len(text)):
        with pytest.raises(Refusal):
            read(text[:end])


def test_refusals_repeat_little_of_what_they_refuse() -> None:
    for body in (request(tensor(name="n" * 10_000)), request(outputs=[{"name": "n" * 10_000}])):
        with pytest.raises(BadRequest) as refused:
            read(body)
        assert len(str(refused.value)) < 200


def test_the_planted_request_is_a_good_one() -> None:
    assert json.loads(wired.request())["inputs"][0]["name"] == "x"
    read(wired.request())
