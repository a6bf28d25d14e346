"""Encoded images: PNG or JPEG rows become pixels of the model's layout, dtype and bounds."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gateway.errors import BadRequest, TooLarge
from models.batch import Array, Bounds, InputSpec

FORMATS = ("PNG", "JPEG")
_MODES = {1: ("L",), 3: ("RGB", "L", "P"), 4: ("RGBA",)}  # what becomes so many channels without losing anything
_NAMES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True)
class ImageCodec:
    """How pixels become a row: `levels` (256,) maps a byte to the model's value, 0..255 onto its bounds.

    Rows of integer models hold the bytes themselves. EXIF orientation is ignored, so is everything after the
    first frame.
    """

    height: int
    width: int
    channels: int
    first: bool  # channels come first (NCHW)
    flat: bool  # rows have no channel axis
    levels: Array

    @staticmethod
    def of(spec: InputSpec) -> ImageCodec | None:
        """The codec of an image input; None where rows are no images or their values have no known bounds."""
        if spec.kind != "image" or len(spec.shape) not in (2, 3):
            return None
        if spec.dtype.kind == "f" and spec.bounds is None:
            return None
        if spec.dtype.kind not in "fiu" or spec.dtype == np.int8:
            return None
        first = spec.layout != "NHWC"
        shape = (*spec.shape, 1) if len(spec.shape) == 2 else spec.shape
        channels, height, width = shape if first and len(spec.shape) == 3 else (shape[2], shape[0], shape[1])
        if channels not in _MODES:
            return None
        return ImageCodec(height, width, channels, first, len(spec.shape) == 2, _levels(spec.dtype, spec.bounds))

    def decode(self, rows: Sequence[bytes], max_pixels: int) -> Array:
        """The rows as one array, (n, *row shape).

        Raises:
            BadRequest: not a PNG or JPEG image, damaged, or of another size or color mode than the model takes.
            TooLarge: more than `max_pixels` in all rows together; said before any is decoded.
        """
        opened = [self._open(row, index) for index, row in enumerate(rows)]
        pixels = sum(image.width * image.height for image in opened)
        if pixels > max_pixels:
            raise TooLarge(f"expected at most {max_pixels} decoded pixels, found {pixels}")
        return np.stack([self._row(image, index) for index, image in enumerate(opened)])

    def _open(self, row: bytes, index: int) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `max_pixels` is the limit
                image = Image.open(io.BytesIO(row), formats=FORMATS)  # reads the header only
        except Image.DecompressionBombError as exc:
            raise TooLarge(f"image {index}: far more pixels than any model takes") from exc
        except Exception as exc:  # Pillow raises many kinds on damaged files
            raise BadRequest(f"image {index}: expected a PNG or JPEG file, found something else") from exc
        if (image.height, image.width) != (self.height, self.width):
            expected = f"{self.height}x{self.width}"
            raise BadRequest(
                f"image {index}: expected {expected} pixels (height x width), found {image.height}x{image.width}"
            )
        if image.mode not in _MODES[self.channels]:
            raise BadRequest(f"image {index}: expected color mode {_NAMES[self.channels]}, found {image.mode}")
        return image

    def _row(self, image: Image.Image, index: int) -> Array:
        try:
            image.load()
            mode = _NAMES[self.channels]
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        except Exception as exc:
            raise BadRequest(f"image {index}: the file is damaged or cut short") from exc
        values: Array = self.levels[pixels]
        if self.flat:
            return values
        values = values.reshape(self.height, self.width, self.channels)
        return values.transpose(2, 0, 1) if self.first else values


def from_base64(text: str, index: int) -> bytes:
    """The bytes of an image that came as text, as it must in JSON.

    Raises:
        BadRequest: it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadRequest(f"image {index}: expected base64 text of a PNG or JPEG file, found something else") from exc


def _levels(dtype: np.dtype[np.generic], bounds: Bounds | None) -> Array:
    steps = np.arange(256)
    if dtype.kind != "f" or bounds is None:
        return steps.astype(dtype)
    return (bounds.low + (bounds.high - bounds.low) * (steps / 255.0)).astype(dtype)
