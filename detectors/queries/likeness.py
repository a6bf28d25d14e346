"""What a deployment knows of honest queries: how to sign them, and when they are alike. Goes into the bundle."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from detectors.base import Unsuitable
from detectors.queries.hashes import Hashes, Quantiser
from detectors.queries.limits import COUNTS, WINDOWS, Limits
from detectors.queries.pooled import Pooled
from detectors.queries.surroundings import KEPT, Surroundings
from models.batch import Array, Arrays, InputSpec

_HONEST = 12_000  # rows that limits are fitted on


@dataclass(frozen=True, slots=True)
class Likeness:
    """The signature, the unit that distances are measured in, and the limits; and what hashes start from."""

    pooled: Pooled
    units: Surroundings
    limits: Limits
    quantiser: Quantiser

    @staticmethod
    def fit(x: Array, spec: InputSpec, seed: int = 0) -> Likeness:
        """Of honest rows in any order.

        Raises:
            Unsuitable: they are token ids, or too few, or too many of them are the same.
        """
        rng = np.random.default_rng(seed)
        x = x[np.sort(rng.permutation(len(x))[: KEPT + _HONEST])]
        pooled = Pooled.of(x, spec, seed)
        z = rng.permutation(np.unique(pooled(x), axis=0))
        if len(z) < 2:
            raise Unsuitable("queries: all rows are the same")
        kept = min(KEPT, len(z) // 3)
        try:
            units = Surroundings.of(z[:kept], z[kept:])
            return Likeness(pooled, units, Limits.fit(z[kept:], units, seed), Quantiser.of(x, spec))
        except ValueError as error:
            raise Unsuitable(f"queries: {error}") from error

    def hashes(self, secret: bytes) -> Hashes:
        """The hashes of this deployment."""
        return Hashes.of(self.quantiser, self.pooled.spec.size, secret)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        parts = {
            "pooled": self.pooled.to_arrays(),
            "units": self.units.to_arrays(),
            "limits": self.limits.to_arrays(),
            "hashes": self.quantiser.to_arrays(),
        }
        return {f"{name}.{key}": array for name, arrays in parts.items() for key, array in arrays.items()}

    @staticmethod
    def from_arrays(arrays: Arrays, spec: InputSpec) -> Likeness:
        """The one that `to_arrays` wrote."""

        def part(name: str) -> dict[str, Array]:
            return {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{name}.")}

        return Likeness(
            Pooled.from_arrays(part("pooled"), spec),
            Surroundings.from_arrays(part("units")),
            Limits.from_arrays(part("limits")),
            Quantiser.from_arrays(part("hashes")),
        )

    def alike(self, ratios: Array, places: Array, total: int, least: int) -> tuple[int, int] | None:
        """How many of the last how many of `total` rows are alike, where any are.

        `ratios` (n,) are the distances, in units, to those that count as near, and `places` which they are, ascending:
        0 is the oldest. Fewer than `least` never are.
        """
        if len(places) < least:
            return None
        distances, known = ratios.tolist(), places.tolist()  # few: lists are quicker
        for window in WINDOWS:
            n = min(window, total)
            within = sorted(distances[bisect_left(known, total - n) :])
            for count in COUNTS:
                if count > len(within):
                    break
                if count >= least and within[count - 1] < self.limits(count, n):
                    return count, n
            if n == total:
                break
        return None
