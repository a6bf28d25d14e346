"""Through JPEG and back, which drops what a camera would not have kept.

Dziugaite, Ghahramani, Roy: A study of the effect of JPG compression on adversarial images (2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from defenses.axes import channel_axis
from defenses.base import Purifier, PurifierSpec, Unsuitable, bounds_of
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class Jpeg:
    """Values go through 0..255 of the bounds. `channel` is the axis of a batch that holds channels, None if none."""

    name: str
    quality: int
    low: float
    high: float
    channel: int | None
    dtype: np.dtype[Any]

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        moved = x if self.channel is None else np.moveaxis(x, self.channel, -1)
        unit = (moved.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
        pixels = np.rint(np.clip(unit, 0.0, 255.0)).astype(np.uint8)
        for image in pixels:
            image[...] = self._through(image)
        back = pixels * ((self.high - self.low) / 255.0) + self.low
        if self.dtype.kind in "iu":
            back = np.rint(back)
        back = np.clip(back, self.low, self.high).astype(self.dtype)
        return back if self.channel is None else np.ascontiguousarray(np.moveaxis(back, -1, self.channel))

    def _through(self, image: Array) -> Array:
        gray = image.ndim == 2 or image.shape[-1] == 1
        buffer = BytesIO()
        Image.fromarray(image.reshape(image.shape[:2]) if gray else image).save(buffer, "JPEG", quality=self.quality)
        return np.asarray(Image.open(buffer)).reshape(image.shape)


class JpegSpec(PurifierSpec):
    """`quality` as Pillow takes it; color is subsampled as JPEG files usually are (4:2:0)."""

    kind: Literal["jpeg"] = "jpeg"
    quality: Annotated[int, Field(ge=1, le=100)] = 75
    suits: ClassVar[frozenset[Kind]] = frozenset({"image"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for what is no image of one or three channels, and for an input without bounds."""
        self.refuse_unsuitable(spec)
        low, high = bounds_of(spec, self.kind)
        channel = channel_axis(spec)
        channels = 1 if channel is None else spec.shape[channel - 1]
        if channels not in (1, 3):
            raise Unsuitable(f"jpeg needs images of 1 or 3 channels; these have {channels}")
        return Jpeg(f"jpeg-{self.quality}", self.quality, low, high, channel, spec.dtype)
