"""Honest rows: made images, tables and series, and what is known of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from benchmarks.data import smooth_images
from detectors.queries.likeness import Likeness
from models.batch import Array, Bounds, InputSpec

SPECS = {
    "image": InputSpec("image", np.dtype("float32"), (1, 28, 28), Bounds(0.0, 1.0), "NCHW"),
    "table": InputSpec("table", np.dtype("float32"), (12,)),
    "series": InputSpec("series", np.dtype("float32"), (2, 64)),
}


@cache
def rows(kind: str) -> Array:
    """4000 honest rows."""
    rng = np.random.default_rng(0)
    if kind == "image":
        return smooth_images(4000, 0)
    if kind == "table":
        mixed = rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 12)) + 0.3 * rng.normal(size=(4000, 12))
        return np.asarray(mixed * np.logspace(-2, 3, 12), dtype=np.float32)
    time = np.arange(64) / 64
    waves = rng.uniform(1, 6, (4000, 2, 1)) * time + rng.uniform(0, 1, (4000, 2, 1))
    return np.asarray(np.sin(2 * np.pi * waves) * rng.uniform(0.5, 2, (4000, 2, 1)), dtype=np.float32)


@cache
def fitted(kind: str) -> Likeness:
    return Likeness.fit(rows(kind)[:3000], SPECS[kind])


@pytest.fixture(params=sorted(SPECS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
