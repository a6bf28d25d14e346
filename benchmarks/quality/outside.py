"""Pictures in color that are no photograph of CIFAR-10: what a model should never have been asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from benchmarks.data import Images, Labeled, digits_upscaled, from_bytes, mnist, smooth_images
from benchmarks.quality.subject import Probe

SIDE = 32


def outside(rows: Labeled, n: int, seed: int = 0) -> Iterator[Probe]:
    """At most n of each kind, on the grid k/255."""
    random = np.random.default_rng(seed)
    yield Probe("uniform noise", "outside", from_bytes(random.integers(0, 256, (n, 3, SIDE, SIDE), dtype=np.uint8)))
    colors = random.integers(0, 256, (n, 3, 1, 1), dtype=np.uint8)
    yield Probe("one color", "outside", from_bytes(np.tile(colors, (1, 1, SIDE, SIDE))))
    inverted = from_bytes((255 - np.rint(rows.x[:n] * 255)).astype(np.uint8))
    yield Probe("inverted", "outside", inverted)
    yield Probe("MNIST", "outside", enlarged(mnist()[1].x[:n]))
    yield Probe("8x8 digits", "outside", enlarged(digits_upscaled()[:n]))
    yield Probe("soft blobs", "outside", enlarged(smooth_images(n, seed)))


def enlarged(x: Images) -> Images:
    """Gray 28x28 pictures as color 32x32 ones."""
    rows = np.rint(x[:, 0] * 255).astype(np.uint8)
    size = (SIDE, SIDE)
    large = [np.asarray(Image.fromarray(row).resize(size, Image.Resampling.BICUBIC)) for row in rows]
    return np.repeat(from_bytes(np.stack(large))[:, None], 3, axis=1)
