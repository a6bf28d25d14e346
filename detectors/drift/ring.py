"""The last buckets by their number: windows by time, for whoever numbers buckets by a clock."""

from __future__ import annotations

from detectors.drift.sums import Sums


class Ring:
    """Sums of at most `size` consecutive buckets. Sums for older buckets are refused, and counted in `late_rows`."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"expected at least one bucket, found {size}")
        self.size = size
        self.late_rows = 0
        self._held: dict[int, Sums] = {}
        self._newest: int | None = None

    def add(self, bucket: int, sums: Sums) -> bool:
        """Adds to a bucket, in any order; False where it is too old to be held."""
        if self._newest is not None and bucket <= self._newest - self.size:
            self.late_rows += sums.rows
            return False
        held = self._held.get(bucket)
        self._held[bucket] = sums if held is None else held + sums
        self._newest = bucket if self._newest is None else max(bucket, self._newest)
        for old in [number for number in self._held if number <= self._newest - self.size]:
            del self._held[old]
        return True

    def total(self, zero: Sums, buckets: int | None = None) -> Sums:
        """The sum of the last `buckets` buckets (all that are held); `zero` is of no rows."""
        if self._newest is None:
            return zero
        oldest = self._newest - (self.size if buckets is None else min(buckets, self.size))
        return sum((sums for number, sums in sorted(self._held.items()) if number > oldest), start=zero)

    def __len__(self) -> int:
        return len(self._held)
