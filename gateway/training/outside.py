"""Rows that no caller should send, made of honest ones: what the out-of-domain guard is chosen by. Pure.

Values are ones that some honest row has, so that no grid gives them away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from models.batch import Array, InputSpec

_TIMES = 10
Make = Callable[[Array, np.random.Generator], Array]


def strangers(x: Array, spec: InputSpec, seed: int) -> dict[str, Array]:
    """By what was done to them, rows of the shape and dtype of `x` (n, *row shape)."""
    random = np.random.default_rng(seed)
    kinds = _COLUMNS if spec.kind == "table" else _IDS if spec.kind == "tokens" else _PIXELS
    return {name: np.asarray(make(x, random).astype(x.dtype)) for name, make in kinds.items()}


def noise(x: Array, random: np.random.Generator) -> Array:
    """Each value drawn evenly between the lowest and the highest."""
    return _nearest(random.uniform(*_range(x), x.shape), x)


def constant(x: Array, random: np.random.Generator) -> Array:
    """One value everywhere."""
    drawn = random.uniform(*_range(x), len(x)).reshape(-1, *[1] * (x.ndim - 1))
    return np.broadcast_to(_nearest(drawn, x), x.shape)


def inverted(x: Array, random: np.random.Generator) -> Array:
    """High where it was low."""
    low, high = _range(x)
    return low + high - x


def shuffled(x: Array, random: np.random.Generator) -> Array:
    """Each row's own values in another order."""
    flat = x.reshape(len(x), -1)
    return np.take_along_axis(flat, random.random(flat.shape).argsort(axis=1), axis=1).reshape(x.shape)


def times_ten(x: Array, random: np.random.Generator) -> Array:
    """One column of each row in another unit."""
    wrong, columns = x.copy(), random.integers(0, x.shape[1], len(x))
    wrong[np.arange(len(x)), columns] *= _TIMES
    return wrong


def swapped(x: Array, random: np.random.Generator) -> Array:
    """The columns in another order."""
    return x[:, random.permutation(x.shape[1])]


def mixed(x: Array, random: np.random.Generator) -> Array:
    """Each column from another row."""
    return np.stack([column[random.permutation(len(x))] for column in x.T], axis=1)


_PIXELS: Mapping[str, Make] = {"noise": noise, "constant": constant, "inverted": inverted, "shuffled": shuffled}
_COLUMNS: Mapping[str, Make] = {"times ten": times_ten, "swapped columns": swapped, "mixed rows": mixed}
_IDS: Mapping[str, Make] = {"noise": noise, "shuffled": shuffled}


def _range(x: Array) -> tuple[float, float]:
    return float(np.nanmin(x)), float(np.nanmax(x))


def _nearest(values: Array, x: Array) -> Array:
    """The nearest values that occur in `x`."""
    known = np.unique(x[np.isfinite(x)])
    middles = (known[1:].astype(np.float64) + known[:-1]) / 2.0
    return np.asarray(known[np.searchsorted(middles, values)])
