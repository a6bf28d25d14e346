"""How near honest rows lie to each other, where a query lies: the unit in which likeness is measured.

Two pictures of a one are nearer to each other than two of an eight. So the distance between two queries is compared
with that from the query to the k-th nearest honest row (Zelnik-Manor, Perona: Self-tuning spectral clustering, 2004).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.batch import Array, Arrays

KEPT = 1024  # honest rows
_NEAREST = 8
_BOUNDS = (0.01, 0.99)  # quantiles of honest rows' own: rows far from all honest ones measure with the largest


@dataclass(frozen=True, slots=True)
class Surroundings:
    """(n, d) signatures to (n,) units, float32. `rows` (m, d) are signatures of honest rows."""

    rows: Array
    low: float
    high: float
    known: Array = field(init=False, repr=False)  # (m, d + 1), rows and their squared lengths side by side

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", np.column_stack([self.rows, np.einsum("ij,ij->i", self.rows, self.rows)]))

    @staticmethod
    def of(rows: Array, others: Array) -> Surroundings:
        """Those of the honest `rows`; `others` are honest too, and say what is usual.

        Raises:
            ValueError: all honest rows are alike.
        """
        found = _nearest(others, rows)
        low, high = np.quantile(found, _BOUNDS)
        low = max(float(low), 0.05 * float(np.median(found)))
        if not low > 0.0:
            raise ValueError("most rows have several others that are the same")
        return Surroundings(np.ascontiguousarray(rows), low, float(high))

    def __call__(self, z: Array) -> Array:
        """The unit at each signature."""
        k = min(_NEAREST, len(self.known)) - 1
        found = np.partition(probes(z) @ self.known.T, k, axis=1)[:, k] + np.einsum("ij,ij->i", z, z)
        units: Array = np.clip(np.sqrt(np.maximum(found, 0.0)), self.low, self.high)
        return units

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"honest": self.rows, "units": np.array([self.low, self.high])}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Surroundings:
        """The one that `to_arrays` wrote."""
        low, high = arrays["units"]
        return Surroundings(arrays["honest"], float(low), float(high))


def probes(z: Array) -> Array:
    """(n, d) to (n, d + 1): times rows and their squared lengths side by side, squared distances less those of `z`."""
    return np.column_stack([-2.0 * z, np.ones(len(z), z.dtype)])


def squared_distances(a: Array, b: Array) -> Array:
    """(n, d) and (m, d) to (n, m), not below 0."""
    found = (-2.0 * a) @ b.T
    found += np.einsum("ij,ij->i", a, a)[:, None]
    found += np.einsum("ij,ij->i", b, b)
    return np.maximum(found, 0.0, out=found)


def _nearest(z: Array, rows: Array) -> Array:
    k = min(_NEAREST, len(rows)) - 1
    parts = [squared_distances(z[start : start + 1024], rows) for start in range(0, len(z), 1024)]
    return np.concatenate([np.sqrt(np.partition(part, k, axis=1)[:, k]) for part in parts] or [np.empty(0, z.dtype)])
