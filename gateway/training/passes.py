"""Forward passes over many rows: in pieces that fit in memory, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from models.backend import ModelBackend, Outputs, TensorSpec
from models.batch import Array, Arrays, Batch, InputSpec

CHUNK_ROWS = 256

# Called with what is going on, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, of: int) -> None:
    """No progress shown."""


def chunks(n: int, size: int = CHUNK_ROWS) -> Iterator[Array]:
    """The indices 0 .. n - 1, so many at a time."""
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


class Chunked:
    """A model that takes any number of rows, so many at a time."""

    def __init__(self, backend: ModelBackend, progress: Progress = silent) -> None:
        self._backend = backend
        self._progress = progress

    @property
    def spec(self) -> InputSpec:
        """The model's."""
        return self._backend.spec

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's."""
        return self._backend.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's."""
        return self._backend.outputs

    def join(self, tensors: Arrays) -> Batch:
        """As the model does."""
        return self._backend.join(tensors)

    def predict(self, batch: Batch) -> Outputs:
        """One forward pass over all rows."""
        n = len(batch)
        if n <= CHUNK_ROWS:
            return self._backend.predict(batch)
        parts = []
        for rows in chunks(n):
            parts.append(self._backend.predict(batch.take(rows)))
            self._progress("forward passes", int(rows[-1]) + 1, n)
        return Outputs.concat(parts)
