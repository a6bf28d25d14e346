"""Any number of rows through a model that takes a fixed number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from models.batch import Array


def in_chunks(
    forward: Callable[[dict[str, Array]], list[Array]], feeds: Mapping[str, Array], rows: int, size: int
) -> list[Array]:
    """Runs `forward` on `size` rows at a time and joins its arrays; the last chunk is filled up and cut again."""
    parts: list[list[Array]] = []
    for start in range(0, max(rows, 1), size):
        chunk = {name: _filled(array[start : start + size], size) for name, array in feeds.items()}
        parts.append([array[: rows - start] for array in forward(chunk)])
    return parts[0] if len(parts) == 1 else [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _filled(rows: Array, size: int) -> Array:
    """The rows, and copies of the last one up to `size`: a value the model takes, whatever it takes."""
    if len(rows) == size:
        return rows
    if len(rows) == 0:
        return np.zeros((size, *rows.shape[1:]), rows.dtype)
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
