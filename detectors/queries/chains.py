"""Which row that was asked before shares most hashes with this one, and how long a chain of such rows has become."""

from __future__ import annotations

import numpy as np

from models.batch import Array

_SLOTS = 2**18  # about 5,000 rows of 50 hashes
_SHARED = 0.5  # of its hashes a row shares with one that it is a variant of (Blacklight: 25 of 50)


class Chains:
    """A table of hashes, each with the last row that had it: constant in size, whatever is asked.

    A row with a variant before it continues that row's chain. Rows are numbered from 1 on.
    """

    def __init__(self, rows: int = 8192, slots: int = _SLOTS) -> None:
        self._tags = np.zeros(slots, dtype=np.uint32)
        self._last = np.zeros(slots, dtype=np.int64)
        self._mask = np.uint64(slots - 1)
        self._owners = np.zeros(rows, dtype=np.int32)
        self._lengths = np.zeros((rows, 2), dtype=np.int32)  # of one owner's rows, of anybody's
        self._times = np.zeros(rows)
        self._count = 0

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self._tags, self._last, self._owners, self._lengths, self._times)
        return sum(array.nbytes for array in arrays)

    def add(self, hashes: Array, owners: Array, now: float, since: float) -> list[tuple[int, int]]:
        """Remembers rows (n, kept), in order, of `owners` (n,); of each the number of rows before it in its chain: the
        owner's own, and all.
        """
        slots = (hashes & self._mask).astype(np.int64)
        tags = (hashes >> np.uint64(32)).astype(np.uint32)
        return [self._one(*row, now, since) for row in zip(slots, tags, owners.tolist(), strict=True)]

    def _one(self, slots: Array, tags: Array, owner: int, now: float, since: float) -> tuple[int, int]:
        known = self._last[slots][self._tags[slots] == tags]
        known = known[(known > 0) & (known > self._count - len(self._times))]
        own = shared = 0
        if 2 * len(known) >= len(slots):
            row, times = _most(known)
            place = row % len(self._times)
            if times >= _SHARED * len(slots) and self._times[place] >= since:
                shared = int(self._lengths[place, 1]) + 1
                own = int(self._lengths[place, 0]) + 1 if self._owners[place] == owner else 0
        self._count += 1
        place = self._count % len(self._times)
        self._tags[slots] = tags
        self._last[slots] = self._count
        self._owners[place] = owner
        self._lengths[place] = own, shared
        self._times[place] = now
        return own, shared


def _most(rows: Array) -> tuple[int, int]:
    """The most frequent of the numbers, and how often it is there."""
    first = int(rows.min())
    counts = np.bincount(rows - first)
    best = int(counts.argmax())
    return first + best, int(counts[best])
