"""What a store that replicas share must offer: SQLite for the workers of one host, Redis for several hosts.

Time is the store's own. A bucket is `int(now / width)`; replicas add to it until it is sealed, and whoever evaluates
reads sealed buckets only, so that all see the same sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.batch import Array

Place = tuple[str, int]  # a key (endpoint, bundle, what) and a bucket


@dataclass(frozen=True, slots=True, eq=False)
class Flush:
    """What a replica adds at once; frozen, and sent again as it is until the store has taken it.

    `replica` names one start of one process, `sequence` counts its flushes from 1. `sums` are int64 vectors whose first
    entry is a number of rows.
    """

    replica: str
    sequence: int
    sums: Mapping[Place, Array]


@dataclass(frozen=True, slots=True)
class Kept:
    """A value under compare-and-set: `token` goes up by one with every change."""

    token: int
    value: bytes


class SharedStore(Protocol):
    """An open connection; belongs to the thread that opened it. Everything raises `StoreError`: try again later."""

    def now(self) -> float:
        """The store's clock, in seconds since 1970. Never goes back."""
        ...

    def add(self, flush: Flush) -> None:
        """Adds all the sums or none, once: a flush that was taken before changes nothing.

        Sums of a sealed bucket are counted as late rows and enter its `late` sums, never the sealed ones; those of a
        forgotten bucket are only counted.

        Raises:
            ValueError: a vector is not as long as those that were added to its key before.
        """
        ...

    def seal(self, key: str, through: int) -> int:
        """Buckets up to `through` take no more; the last sealed bucket, which never goes back."""
        ...

    def sealed(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """Sealed buckets with rows after the bucket `after`, ascending: number and int64 sums."""
        ...

    def late(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """What came after its bucket was sealed, of buckets after the bucket `after`, ascending."""
        ...

    def late_rows(self, key: str) -> int:
        """Rows that came after their bucket was sealed."""
        ...

    def forget(self, key: str, before: int) -> None:
        """Drops buckets before `before`; they take no more."""
        ...

    def load(self, name: str) -> Kept | None:
        """A value under compare-and-set."""
        ...

    def swap(self, name: str, token: int, value: bytes) -> bool:
        """Replaces the value if its token is still `token` (0: there is none); whether it was."""
        ...

    def put_once(self, name: str, value: bytes, keep_s: float) -> bool:
        """Sets a value that is absent; whether it was. It is dropped after `keep_s`."""
        ...

    def values(self, prefix: str, start: str = "", limit: int = 10_000) -> dict[str, bytes]:
        """Values of `put_once` whose names begin so, from the name `prefix + start` on: the last `limit`, ascending."""
        ...

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Takes or renews a lease; whether `holder` has it."""
        ...

    def log(self, key: str, entries: Sequence[tuple[str, bytes]], keep_s: float, most: int) -> None:
        """Keeps values by id, the newest `most` of the key and no longer than `keep_s`."""
        ...

    def logged(self, key: str, ids: Sequence[str]) -> dict[str, bytes]:
        """The values of these ids that are still kept."""
        ...

    def claim(self, key: str, rows: Sequence[tuple[str, int]]) -> list[bool]:
        """Of each row of a logged id whether it was claimed just now: by nobody before, and its id is still kept."""
        ...

    def close(self) -> None:
        """Lets go of the connection."""
        ...
