"""Rows that are no digits of MNIST: what a model should never have been asked. All on the grid k/255."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.data import SIDE, DataMissing, Images, Labeled, cifar_gray, digits_upscaled, from_bytes


def outside(rows: Labeled, n: int, seed: int = 0) -> Iterator[tuple[str, Images]]:
    """Kinds of rows from outside, at most n each; gray CIFAR-10 only where its file is there."""
    rng = np.random.default_rng(seed)
    yield "uniform noise", from_bytes(rng.integers(0, 256, (n, 1, SIDE, SIDE), dtype=np.uint8))
    levels = np.arange(256, dtype=np.uint8)
    yield "one gray everywhere, each of 256", from_bytes(np.tile(levels[:, None, None, None], (1, 1, SIDE, SIDE)))
    yield "MNIST inverted", from_bytes(255 - np.rint(rows.x[:n] * 255).astype(np.uint8))
    yield "scikit-learn's digits, 8x8 enlarged", digits_upscaled()[:n]
    try:
        yield "CIFAR-10 in gray (its last images)", cifar_gray(n)
    except DataMissing:
        return
