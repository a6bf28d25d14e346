"""Rows that took long to make, kept by all that they depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.data import CACHE, Images
from benchmarks.networks import Trained
from models.batch import Array

FOLDER = CACHE / "quality"


def digest_of(*parts: object) -> str:
    """Of arrays, bytes and anything that prints what it is."""
    found = hashlib.sha256()
    for part in parts:
        found.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return found.hexdigest()[:16]


def model_digest(trained: Trained) -> str:
    """Of its weights: the exported file holds names that change."""
    return digest_of(*(value.numpy() for value in trained.network.state_dict().values()))


def kept(name: str, key: str, make: Callable[[], Array], folder: Path = FOLDER) -> Images:
    """What `make` returns, made once for this name and key."""
    path = folder / f"{''.join(c if c.isalnum() else '-' for c in name)}-{key}.npy"
    if not path.exists():
        made = make()
        folder.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part.npy")
        np.save(half, made)
        half.rename(path)
    found: Images = np.load(path, allow_pickle=False)
    return found
