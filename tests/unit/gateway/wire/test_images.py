"""PNG and JPEG rows: pixels in the model's layout and bounds, bounded before they are decoded."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from gateway.errors import BadRequest, TooLarge
from gateway.wire.images import ImageCodec
from gateway.wire.request import Reader
from models.batch import Bounds, InputSpec
from tests.wired import GRAY, IMAGE, binary, image_field, lengths, png, request, sign, tensor

COLOR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3) * 7


def spec(shape: tuple[int, ...], layout: Any = "NCHW", dtype: str = "float32", bounds: Any = (0.0, 1.0)) -> InputSpec:
    return InputSpec("image", np.dtype(dtype), shape, None if bounds is None else Bounds(*bounds), layout)


def codec(given: InputSpec) -> ImageCodec:
    found = ImageCodec.of(given)
    assert found is not None
    return found


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_bytes_are_scaled_onto_the_bounds() -> None:
    x = codec(spec((1, 3, 4))).decode([png(GRAY), png(GRAY[::-1].copy())], 100)
    assert x.shape == (2, 1, 3, 4)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[0, 0], GRAY.astype(np.float32) / np.float32(255))  # as people train
    np.testing.assert_array_equal(x[1, 0], GRAY[::-1].astype(np.float32) / np.float32(255))
    symmetric = codec(spec((1, 3, 4), bounds=(-1.0, 1.0))).decode([png(GRAY)], 100)
    np.testing.assert_allclose(symmetric[0, 0], GRAY / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(("shape", "layout"), [((3, 3, 4), "NCHW"), ((3, 4, 3), "NHWC")])
def test_color_comes_in_the_models_layout(shape: tuple[int, ...], layout: str) -> None:
    x = codec(spec(shape, layout, bounds=(0, 255))).decode([png(COLOR)], 100)
    expected = COLOR.transpose(2, 0, 1) if layout == "NCHW" else COLOR
    np.testing.assert_array_equal(x[0], expected)


def test_integer_models_get_the_bytes() -> None:
    x = codec(spec((3, 4, 1), "NHWC", "uint8", None)).decode([png(GRAY)], 100)
    np.testing.assert_array_equal(x[0, ..., 0], GRAY)
    assert x.dtype == np.uint8


def test_rows_without_a_channel_axis_stay_without() -> None:
    assert codec(spec((3, 4), None)).decode([png(GRAY)], 100).shape == (1, 3, 4)


def test_jpeg_is_read_and_gray_or_palette_images_become_color() -> None:
    gradient = np.tile(np.arange(0, 64, 4, dtype=np.uint8), (16, 1))
    x = codec(spec((1, 16, 16), bounds=(0, 255))).decode([png(gradient, "JPEG", quality=100)], 1000)
    np.testing.assert_allclose(x[0, 0], gradient, atol=3)
    gray = codec(spec((3, 3, 4), bounds=(0, 255))).decode([png(GRAY), png(GRAY, mode="P")], 100)
    np.testing.assert_array_equal(gray[0], np.stack([GRAY] * 3))
    np.testing.assert_array_equal(gray[1], np.stack([GRAY] * 3))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"", "expected a PNG or JPEG file"),
        (b"hello", "expected a PNG or JPEG file"),
        (png(GRAY, "BMP"), "expected a PNG or JPEG file"),
        (png(GRAY, "GIF"), "expected a PNG or JPEG file"),
        (png(GRAY, "TIFF"), "expected a PNG or JPEG file"),
        (png(GRAY)[:40], "image 0: "),
        (png(GRAY)[:-35], "damaged or cut short"),
        (png(GRAY.T.copy()), "expected 3x4 pixels (height x width), found 4x3"),
        (png(COLOR), "expected color mode L, found RGB"),
        (png(GRAY, mode="RGBA"), "expected color mode L, found RGBA"),
        (png(GRAY.astype(np.uint16) * 257), "expected color mode L, found I;16"),
        (png(COLOR, "JPEG", "CMYK"), "expected color mode L, found CMYK"),
        (bomb(4, 3), "damaged or cut short"),
        (bomb(60_000, 3), "expected 3x4 pixels"),
    ],
)
def test_other_files_sizes_and_modes_are_refused(row: bytes, told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        codec(spec((1, 3, 4))).decode([row], 100)
    assert told in str(refused.value)


def test_bombs_are_refused_by_what_they_say_of_themselves() -> None:
    with pytest.raises(TooLarge):
        codec(spec((1, 3, 4))).decode([bomb(60_000, 60_000)], 100)
    large = codec(spec((1, 9_000, 9_000)))
    with pytest.raises(TooLarge, match="expected at most 100 decoded pixels, found 81000000"):
        large.decode([bomb(9_000, 9_000)], 100)
    with pytest.raises(TooLarge, match="found 36"):
        codec(spec((1, 3, 4))).decode([png(GRAY)] * 3, 30)


@pytest.mark.parametrize(
    "given",
    [
        spec((1, 3, 4), bounds=None),  # which values the model takes is unknown
        spec((1, 3, 4), dtype="int8", bounds=None),
        spec((2, 3, 4)),
        InputSpec("table", np.dtype("float32"), (4,), Bounds(0, 1)),
        InputSpec("series", np.dtype("float32"), (4, 3), Bounds(0, 1)),
    ],
)
def test_inputs_that_take_no_images(given: InputSpec) -> None:
    assert ImageCodec.of(given) is None


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_images_come_as_bytes_or_base64(shape: tuple[int, ...]) -> None:
    reader = Reader(sign(image_field()))
    blob = lengths(png(GRAY), png(GRAY))
    head = {"name": "x", "datatype": "BYTES", "shape": list(shape), "parameters": {"binary_data_size": len(blob)}}
    _, there = reader.read(*binary((head, blob)))
    texts = [base64.b64encode(png(GRAY)).decode()] * 2
    for data in (texts, [[text] for text in texts]):
        _, here = reader.read(request(tensor(data, shape, datatype="BYTES")), None)
        np.testing.assert_array_equal(there["x"], here["x"])
    assert there["x"].shape == (2, 1, 3, 4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (tensor(["&&"], (1,), datatype="BYTES"), "expected base64 text"),
        (tensor(["aGVsbG8="], (1,), datatype="BYTES"), "expected a PNG or JPEG file"),
        (tensor(["aGVsbG8="], (2,), datatype="BYTES"), "expected 2 images, found 1"),
        (tensor([1], (1,), datatype="BYTES"), "Expected `str`, got `int`"),
        (tensor([[["a"]]], (1,), datatype="BYTES"), "nested 3 deep"),
        (tensor(["a"], (1, 3), datatype="BYTES"), "expected shape [n], found [1, 3]"),
    ],
)
def test_malformed_image_tensors_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Reader(sign(image_field())).read(request(given), None)
    assert told in str(refused.value)


def test_image_inputs_take_plain_tensors_too() -> None:
    _, tensors = Reader(sign(image_field())).read(request(tensor([0.5] * 12, (1, 1, 3, 4))), None)
    assert tensors["x"].shape == (1, *IMAGE.shape)
