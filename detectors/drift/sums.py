"""All that is kept of rows: whole numbers that add up, in any order and any grouping, to the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.drift.cells import CELLS
from models.batch import Array, Arrays

_HEADER = 3  # rows, series, waves
_LITTLE = np.dtype("<i8")


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """`rows`, `counts` (series, cells) and `waves` (waves,), all int64: rows a cell, and fixed-point Fourier sums."""

    rows: int
    counts: Array
    waves: Array

    @staticmethod
    def zero(series: int, waves: int) -> Sums:
        """Of no rows."""
        return Sums(0, np.zeros((series, CELLS), dtype=np.int64), np.zeros(waves, dtype=np.int64))

    @staticmethod
    def of(cells: Array, waves: Array) -> Sums:
        """Of encoded rows: `cells` (n, series) and `waves` (n, waves), int64."""
        n, series = cells.shape
        flat = cells + CELLS * np.arange(series)
        counts = np.bincount(flat.ravel(), minlength=series * CELLS).reshape(series, CELLS)
        return Sums(n, counts.astype(np.int64, copy=False), waves.sum(axis=0, dtype=np.int64))

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.rows + other.rows, self.counts + other.counts, self.waves + other.waves)

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.rows - other.rows, self.counts - other.counts, self.waves - other.waves)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sums):
            return NotImplemented
        same = np.array_equal(self.counts, other.counts) and np.array_equal(self.waves, other.waves)
        return self.rows == other.rows and same

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def vector(self) -> Array:
        """(1 + series * cells + waves,) int64: what a store adds, entry by entry."""
        return np.concatenate([[self.rows], self.counts.ravel(), self.waves]).astype(np.int64, copy=False)

    @staticmethod
    def from_vector(vector: Array, series: int) -> Sums:
        """The sums that `vector` wrote.

        Raises:
            ValueError: it is too short for so many series.
        """
        end = 1 + series * CELLS
        if len(vector) < end:
            raise ValueError(f"expected at least {end} numbers for {series} series, found {len(vector)}")
        values = np.asarray(vector, dtype=np.int64)
        return Sums(int(values[0]), values[1:end].reshape(series, CELLS).copy(), values[end:].copy())

    def to_bytes(self) -> bytes:
        """Little-endian: a header of three numbers and the vector."""
        head = np.array([self.rows, len(self.counts), len(self.waves)], dtype=_LITTLE)
        return head.tobytes() + self.vector()[1:].astype(_LITTLE).tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> Sums:
        """The sums that `to_bytes` wrote.

        Raises:
            ValueError: the bytes are no sums.
        """
        if len(data) % 8 or len(data) < 8 * _HEADER:
            raise ValueError(f"expected whole 8-byte numbers, found {len(data)} bytes")
        values = np.frombuffer(data, dtype=_LITTLE).astype(np.int64)
        rows, series, waves = (int(value) for value in values[:_HEADER])
        if series < 0 or waves < 0 or len(values) != _HEADER + series * CELLS + waves:
            raise ValueError(f"expected {series} series and {waves} waves, found {len(values) - _HEADER} numbers")
        return Sums.from_vector(np.concatenate([[rows], values[_HEADER:]]), series)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"rows": np.array(self.rows, dtype=np.int64), "counts": self.counts, "waves": self.waves}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Sums:
        """The sums that `to_arrays` wrote."""
        return Sums(int(arrays["rows"]), arrays["counts"], arrays["waves"])
