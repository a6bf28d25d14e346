"""The guarded rows and what they must look like. Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Kind = Literal["image", "table", "series", "tokens"]
Layout = Literal["NCHW", "NHWC"]

NO_ARRAYS: Arrays = MappingProxyType({})


class Bounds(NamedTuple):
    """The closed interval every value of the guarded input lies in."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What one row of the guarded input looks like.

    `shape` is a row's, without the batch axis. `missing` lets NaN through as a value.
    `layout` is set for images, `columns` (their names) for tables.
    """

    kind: Kind
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    bounds: Bounds | None = None
    layout: Layout | None = None
    missing: bool = False
    columns: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Values in one row."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows on their way through the chain: the guarded input, and the inputs that pass through beside it.

    `x` is (n, *row shape); every array of `extras` has n rows too. Both are made read-only.

    Raises:
        ValueError: an extra input has another number of rows than `x`.
    """

    x: Array
    extras: Arrays = field(default_factory=lambda: NO_ARRAYS)

    def __post_init__(self) -> None:
        for name, array in self.extras.items():
            if len(array) != len(self.x):
                raise ValueError(f"input {name!r} has {len(array)} rows, the guarded input {len(self.x)}")
            array.setflags(write=False)
        self.x.setflags(write=False)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Array | slice) -> Batch:
        """The batch of only these rows (indices, a mask or a slice)."""
        return Batch(self.x[rows], {name: array[rows] for name, array in self.extras.items()})

    def with_x(self, x: Array) -> Batch:
        """The same rows with another guarded input (a purified one)."""
        return replace(self, x=x)

    @staticmethod
    def concat(batches: Sequence[Batch]) -> Batch:
        """All rows of the batches in order; they share row shapes and dtypes."""
        if len(batches) == 1:
            return batches[0]
        extras = {name: np.concatenate([b.extras[name] for b in batches]) for name in batches[0].extras}
        return Batch(np.concatenate([b.x for b in batches]), extras)
