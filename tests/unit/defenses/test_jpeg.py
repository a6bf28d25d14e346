"""Through JPEG and back."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from defenses.base import Unsuitable
from defenses.jpeg import JpegSpec
from models.batch import Array, Bounds, InputSpec


def smooth(channels: int) -> Array:
    """A gradient, (1, 16, 16, channels) uint8."""
    ramp = np.add.outer(np.arange(16), np.arange(16)) * 8
    return np.repeat(ramp[None, :, :, None], channels, axis=3).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_is_what_pillow_gives(channels: int) -> None:
    x = smooth(channels)
    buffer = BytesIO()
    Image.fromarray(x[0] if channels == 3 else x[0, :, :, 0]).save(buffer, "JPEG", quality=40)
    expected = np.asarray(Image.open(buffer)).reshape(x[0].shape)
    spec = InputSpec("image", np.dtype("uint8"), x[0].shape, Bounds(0, 255), "NHWC")
    assert np.array_equal(JpegSpec(quality=40).build(spec).apply(x)[0], expected)


def test_floats_go_through_the_bounds() -> None:
    x = smooth(3)
    whole = JpegSpec().build(InputSpec("image", np.dtype("uint8"), (16, 16, 3), Bounds(0, 255), "NHWC")).apply(x)
    real = (x.transpose(0, 3, 1, 2) / 127.5 - 1.0).astype(np.float32)
    spec = InputSpec("image", np.dtype("float32"), (3, 16, 16), Bounds(-1.0, 1.0), "NCHW")
    pure = JpegSpec().build(spec).apply(real)
    assert pure.flags.c_contiguous
    assert np.allclose((pure + 1.0) * 127.5, whole.transpose(0, 3, 1, 2), atol=1e-3)


def test_drops_noise_but_keeps_the_picture() -> None:
    clean = smooth(1) / 255.0
    noisy = np.clip(clean + np.random.default_rng(0).choice([-0.1, 0.1], clean.shape), 0, 1)
    spec = InputSpec("image", np.dtype("float64"), (16, 16, 1), Bounds(0.0, 1.0), "NHWC")
    pure = JpegSpec(quality=20).build(spec).apply(noisy)
    assert np.abs(pure - clean).mean() < 0.7 * np.abs(noisy - clean).mean()


def test_takes_one_or_three_channels() -> None:
    with pytest.raises(Unsuitable, match="images of 1 or 3 channels; these have 4"):
        JpegSpec().build(InputSpec("image", np.dtype("uint8"), (4, 8, 8), Bounds(0, 255), "NCHW"))
    with pytest.raises(Unsuitable, match="jpeg works on image inputs; this one is table"):
        JpegSpec().build(InputSpec("table", np.dtype("float32"), (4,), Bounds(0, 1)))
