"""How a principal's queries are spread, as replicas add it up."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTES = 10.0  # over which a rate is averaged: older queries count for e times less with each so many minutes


@dataclass(slots=True)
class Asking:
    """What one replica saw since it last told: `looked` of the `rows` were measured, `near` of them lay near the
    boundary; `cells` are those that they fell into."""

    rows: int
    looked: int
    near: int
    cells: set[int]

    def add(self, other: Asking) -> None:
        """What another saw too."""
        self.rows += other.rows
        self.looked += other.looked
        self.near += other.near
        self.cells |= other.cells


@dataclass(frozen=True, slots=True)
class Measure:
    """One principal at one endpoint with one bundle. `cells` has a bit for each cell; `recent` as of `last_ns`."""

    endpoint: str
    principal: str
    bundle: str
    rows: int
    looked: int
    near: int
    recent: float
    cells: bytes
    last_ns: int

    @property
    def near_boundary(self) -> float | None:
        """Share of the measured rows; of honest rows it is 5 %."""
        return self.near / self.looked if self.looked else None

    @property
    def coverage(self) -> float:
        """Share of the reference's space (its cells) that the principal asked in."""
        return int.from_bytes(self.cells, "little").bit_count() / (8 * len(self.cells)) if self.cells else 0.0

    def rows_per_minute(self, now_ns: int) -> float:
        """Averaged over the last minutes."""
        return self.recent * faded(now_ns - self.last_ns) / MINUTES


def faded(ns: int) -> float:
    """What a query counts after so long."""
    return math.exp(-max(ns, 0) / (MINUTES * 60e9))


def with_cells(known: bytes, cells: set[int], size: int) -> bytes:
    """The bits with those of more cells, of `size` in all."""
    bits = int.from_bytes(known, "little")
    for cell in cells:
        bits |= 1 << cell
    return bits.to_bytes(size // 8, "little")
