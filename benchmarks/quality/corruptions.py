"""Mild wear of pictures: what a camera, a scanner or a hand does. Rounded; counts while the model is right.

After Hendrycks and Dietterich (Benchmarking Neural Network Robustness to Common Corruptions, ICLR 2019), made anew:
`calibrate` teaches combiners that its own wear is honest, and turning, gamma and JPEG are not among that.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.data import Images, Labeled, to_grid
from benchmarks.networks import Trained, predict
from benchmarks.quality.subject import Probe

Wear = Callable[[Images], Images]


def brighter(x: Images) -> Images:
    """A sixteenth of the range up."""
    return x + np.float32(16 / 255)


def darker(x: Images) -> Images:
    """A sixteenth of the range down."""
    return x - np.float32(16 / 255)


def flatter(x: Images) -> Images:
    """A fifth less contrast around the middle of each row."""
    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray(mean + (x - mean) * np.float32(0.8))


def grainy(x: Images) -> Images:
    """Sensor noise of 0.02."""
    noise = np.random.default_rng(1).normal(0.0, 0.02, x.shape)
    return np.asarray(x + noise, dtype=np.float32)


def blurred(x: Images) -> Images:
    """A Gaussian of half a pixel."""
    return np.asarray(ndimage.gaussian_filter(x, (0.0, 0.0, 0.5, 0.5)))


def aside(x: Images) -> Images:
    """One pixel to the right, the edge repeated."""
    return np.asarray(ndimage.shift(x, (0, 0, 0, 1), order=0, mode="nearest"))


def turned(x: Images) -> Images:
    """By 4 degrees."""
    return np.asarray(ndimage.rotate(x, 4.0, axes=(2, 3), reshape=False, order=1, mode="nearest"))


def gamma(x: Images) -> Images:
    """Middle tones lifted: the power 0.85."""
    return np.asarray(np.clip(x, 0.0, 1.0) ** np.float32(0.85))


def jpeg(x: Images) -> Images:
    """Stored once as JPEG of quality 90."""
    return np.stack([_jpeg(row) for row in x])


def _jpeg(row: Images) -> Images:
    pixels = np.rint(row * 255.0).astype(np.uint8).transpose(1, 2, 0)
    picture, stored = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels), io.BytesIO()
    picture.save(stored, "JPEG", quality=90)
    loaded = np.asarray(Image.open(stored), dtype=np.float32) / 255.0
    return np.asarray(np.atleast_3d(loaded).transpose(2, 0, 1))


WEARS: dict[str, Wear] = {
    "brighter": brighter,
    "darker": darker,
    "less contrast": flatter,
    "noise": grainy,
    "blur": blurred,
    "one pixel aside": aside,
    "turned 4 degrees": turned,
    "gamma": gamma,
    "JPEG 90": jpeg,
}


def corrupted(trained: Trained, rows: Labeled) -> Iterator[Probe]:
    """Each wear of rows that the model gets right, those that it still gets right."""
    for name, wear in WEARS.items():
        x = to_grid(wear(rows.x))
        same = predict(trained.network, x) == rows.y
        yield Probe(name, "corrupted", x[same], tried=len(rows))
