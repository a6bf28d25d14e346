"""Signatures on their way through what is remembered: which of it is near them, in one product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.queries.limits import MOST
from detectors.queries.surroundings import probes
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Compared:
    """See `probes`; `squares` (n,) are the signatures' squared lengths, `units` their squared units.

    What is below its entry of `limits` counts as near.
    """

    probes: Array
    squares: Array
    units: Array
    limits: list[float]

    @staticmethod
    def of(z: Array, units: Array) -> Compared:
        """Signatures (n, d), and the units there, (n,)."""
        squares, units = np.einsum("ij,ij->i", z, z), units**2
        return Compared(probes(z), squares, units, (MOST * MOST * units - squares).tolist())

    def near(self, row: int, distances: Array, least: int) -> Array | None:
        """The places of those that count as near, of `distances` (m,); None where they are fewer than `least`."""
        places: Array = (distances < self.limits[row]).nonzero()[0]
        return None if len(places) < least else places

    def ratios(self, row: int, distances: Array) -> Array:
        """Distances in units, of `distances` (m,)."""
        return np.asarray(np.sqrt(np.maximum(distances + self.squares[row], 0.0) / self.units[row]))
