"""CIFAR-10 from the shared file, without the traces of its compression.

The shared images were JPEG files once, which makes squeezing by JPEG look nearly perfect. Each is enlarged to 36x36 and
cropped to 32x32 at an offset drawn from its own index, so that no 8x8 block of the compression is left on its grid.
"""

from __future__ import annotations

import io
import itertools

import numpy as np

from benchmarks.data import CACHE, Labeled, from_bytes, shared
from models.batch import Array

SIDE, ENLARGED = 32, 36
TRAIN_ROWS = 40_000


def cifar10() -> tuple[Labeled, Labeled]:
    """The first 40,000 images to train on and the last 10,000 that no model here sees; (n, 3, 32, 32).

    Raises:
        DataMissing: the shared file is absent.
    """
    source, kept = shared("cifar10.npz"), CACHE / "cifar10" / "images.npy"
    with np.load(source, allow_pickle=False) as file:
        y = file["y"].astype(np.int64)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, np.stack([prepared(*item) for item in enumerate(_pictures(file["blob"], file["offsets"]))]))
    x = np.load(kept, mmap_mode="r", allow_pickle=False)
    parts = slice(0, TRAIN_ROWS), slice(TRAIN_ROWS, None)
    train, rest = (Labeled(from_bytes(np.asarray(x[part])), y[part]) for part in parts)
    return train, rest


def prepared(index: int, picture: bytes) -> Array:
    """A JPEG file as (3, 32, 32) bytes."""
    from PIL import Image

    size = (ENLARGED, ENLARGED)
    large = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    top, left = np.random.default_rng(index).integers(0, ENLARGED - SIDE + 1, 2)
    return np.ascontiguousarray(large[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1))


def _pictures(blob: Array, offsets: Array) -> list[bytes]:
    return [blob[start:stop].tobytes() for start, stop in itertools.pairwise(offsets)]
