"""Square: random search by patches of one color in images, by stretches of one value in series.

Andriushchenko, Croce, Flammarion, Hein: Square Attack, a Query-Efficient Black-Box Adversarial Attack via Random Search
(ECCV 2020), for Linf.
"""

from __future__ import annotations

import numpy as np

from attacks.scored.search import Ask, Search
from models.batch import Array

_SHARE = 0.3  # of the values that the first patches cover
_SHRINKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # of the queries: there the share is halved


def square(
    ask: Ask, clean: Array, y: Array, *, epsilon: Array, axes: tuple[int, ...], queries: int, seed: int
) -> Array:
    """Rows at most `epsilon` (n,) away from `clean` (n, ...) in Linf, inside [0, 1]: the misclassified, else the
    closest to it.

    `y` (n,) are class labels, `axes` those of height and width, or of time. `queries` are asked of each row at most.
    """
    random = np.random.default_rng(seed)
    reach = epsilon.reshape(-1, *[1] * (clean.ndim - 1))
    stripes = _signs(random, clean.shape, kept=tuple(axes[:-1]))
    search = Search.start(ask, np.clip(clean + reach * stripes, 0.0, 1.0), y)
    for k in range(queries - 1):
        which = search.left
        if len(which) == 0:
            break
        share = _SHARE / 2.0 ** sum(k >= at * queries for at in _SHRINKS)
        patch = _patches(random, clean[which].shape, axes, share)
        signs = _signs(random, clean[which].shape, kept=axes)
        moved = np.clip(clean[which] + reach[which] * signs, 0.0, 1.0)
        search.offer(np.where(patch, moved, search.rows[which]), which)
    return search.rows


def _signs(random: np.random.Generator, shape: tuple[int, ...], kept: tuple[int, ...]) -> Array:
    """-1 or 1, the same along the axes `kept`."""
    drawn = random.integers(0, 2, [1 if axis in kept else size for axis, size in enumerate(shape)])
    return np.asarray(2.0 * drawn - 1.0)


def _patches(random: np.random.Generator, shape: tuple[int, ...], axes: tuple[int, ...], share: float) -> Array:
    """A mask for each row: as long along every axis, somewhere."""
    mask = np.ones([1] * len(shape), dtype=bool)
    total = float(np.prod([shape[axis] for axis in axes]))
    for axis in axes:
        size = shape[axis]
        length = int(np.clip(round((share * total) ** (1.0 / len(axes))), 1, size))
        start = random.integers(0, size - length + 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        place = np.arange(size).reshape([size if i == axis else 1 for i in range(len(shape))])
        mask = mask & (place >= start) & (place < start + length)
    return mask
