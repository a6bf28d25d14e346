"""How large residuals are: five sizes of each map of them."""

from __future__ import annotations

import numpy as np

from models.batch import Array

_ZERO = np.float32(2e-4)  # what rounding alone may leave over
_SMALL = np.float32(1e-3)  # a quarter of an 8-bit step
_SIZES = ("mean size", "rms", "share not zero", "median size", "90 % quantile")


def names(maps: tuple[str, ...]) -> tuple[str, ...]:
    """What `sizes` returns of these maps, in order."""
    return tuple(f"{size} of the {which}" for size in _SIZES for which in maps)


def sizes(maps: Array) -> Array:
    """(n, 5 maps) float32 of (n, maps, values) absolute residuals, which it reorders; all but shares as logarithms."""
    n, count, size = maps.shape
    found = np.empty((n, len(_SIZES), count), dtype=np.float32)
    per = np.float32(1.0 / size)
    np.add.reduce(maps, axis=2, out=found[:, 0])
    found[:, 0] *= per
    np.sqrt(np.einsum("nmp,nmp->nm", maps, maps) * per, out=found[:, 1])
    found[:, 2] = np.count_nonzero(maps > _ZERO, axis=2)
    found[:, 2] *= per
    middle, high = size // 2, size * 9 // 10
    maps.partition((middle, high), axis=2)
    found[:, 3] = maps[:, :, middle]
    found[:, 4] = maps[:, :, high]
    found[:, :2] += np.float32(0.1) * _SMALL
    found[:, 3:] += _SMALL
    np.log(found[:, :2], out=found[:, :2])
    np.log(found[:, 3:], out=found[:, 3:])
    return found.reshape(n, len(_SIZES) * count)
