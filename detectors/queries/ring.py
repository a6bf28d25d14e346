"""The last queries, in arrays that never grow beyond a bound: old ones make room, and expire."""

from __future__ import annotations

import numpy as np

from models.batch import Array

_FIRST = 32
_ARRAYS = ("_known", "_digests", "_owners", "_times")


class Ring:
    """Signatures (d,) float32, digests uint64, owners int32 and times of the last `rows` rows, oldest first.

    The newest stand at the end of arrays of twice that length, so that the last n are always one slice. `nbytes` are
    those of its arrays.
    """

    __slots__ = ("_digests", "_end", "_known", "_owners", "_rows", "_start", "_times", "nbytes")

    def __init__(self, rows: int, width: int) -> None:
        self._rows = rows
        self._start = self._end = 0
        size = 2 * min(rows, _FIRST)
        self._known = np.empty((size, width + 1), dtype=np.float32)
        self._digests = np.empty(size, dtype=np.uint64)
        self._owners = np.empty(size, dtype=np.int32)
        self._times = np.empty(size)
        self.nbytes = self._sized()

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def z(self) -> Array:
        """(n, d), oldest first."""
        return self._known[self._start : self._end, :-1]

    @property
    def squares(self) -> Array:
        """(n,), the squared lengths of `z`."""
        return self._known[self._start : self._end, -1]

    @property
    def known(self) -> Array:
        """(n, d + 1), `z` and `squares` side by side."""
        return self._known[self._start : self._end]

    @property
    def digests(self) -> Array:
        """(n,), oldest first."""
        return self._digests[self._start : self._end]

    @property
    def owners(self) -> Array:
        """(n,), oldest first."""
        return self._owners[self._start : self._end]

    def has(self, digests: Array) -> Array:
        """Which of the digests (n,) are remembered: a mask."""
        return np.asarray((digests[:, None] == self.digests).any(axis=1))

    def expire(self, before: float) -> None:
        """Forgets rows from earlier than `before`."""
        times = self._times[self._start : self._end]
        if len(times) and times[0] < before:
            self._start += int(np.searchsorted(times, before))

    def add(self, z: Array, digests: Array, owners: Array | int, now: float) -> None:
        """Remembers up to `rows` more rows, of which the oldest make room. Time never goes back."""
        n = len(z)
        if self._end + n > len(self._times):
            self._make_room(n)
        stop = self._end + n
        last = self._times[self._end - 1] if len(self) else now
        self._known[self._end : stop, :-1] = z
        self._known[self._end : stop, -1] = np.einsum("ij,ij->i", z, z)
        self._digests[self._end : stop] = digests
        self._owners[self._end : stop] = owners
        self._times[self._end : stop] = max(now, last)
        self._end = stop
        self._start = max(self._start, stop - self._rows)

    def _make_room(self, n: int) -> None:
        """Moves what is remembered to the front, into longer arrays until they are as long as they get."""
        kept = slice(max(self._start, self._end + n - self._rows), self._end)
        held = kept.stop - kept.start if kept.stop > kept.start else 0
        size = len(self._times)
        while size < 2 * self._rows and held + n > size // 2:
            size = min(2 * size, 2 * self._rows)
        for name in _ARRAYS:
            old = getattr(self, name)
            new = old if size == len(old) else np.empty((size, *old.shape[1:]), dtype=old.dtype)
            if held:
                new[:held] = old[kept].copy()
            setattr(self, name, new)
        self._start, self._end = 0, held
        self.nbytes = self._sized()

    def _sized(self) -> int:
        return sum(getattr(self, name).nbytes for name in _ARRAYS)
