"""The nearest reference rows of a row, in one layer of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

_BLOCK = 256  # rows at a time
_FAR = np.float32(1e6)  # standard units


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Standardized values of kept rows: `kept` (m, d), `squares` (m,) their squared norms; `directions`: length 1."""

    center: Array
    per_scale: Array
    kept: Array
    squares: Array
    directions: bool

    @staticmethod
    def fit(values: Array, directions: bool) -> Neighbors:
        """Of (m, d) pooled values."""
        spread = values.std(axis=0)
        center = values.mean(axis=0).astype(np.float32)
        per_scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-6).astype(np.float32)
        bare = Neighbors(center, per_scale, values[:0], values[:0, 0], directions)
        kept = bare._coordinates(values)
        return Neighbors(center, per_scale, kept, np.einsum("ij,ij->i", kept, kept), directions)

    def nearest(self, values: Array, k: int) -> tuple[Array, Array]:
        """Indices of the k nearest kept rows, nearest first, and their squared distances; (n, k) each."""
        parts = [self._nearest(values[start : start + _BLOCK], k) for start in range(0, max(len(values), 1), _BLOCK)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _nearest(self, values: Array, k: int) -> tuple[Array, Array]:
        z = self._coordinates(values)
        distances = z.dot(self.kept.T)
        distances *= np.float32(-2.0)
        distances += self.squares
        found = np.argpartition(distances, k - 1, axis=1)[:, :k] if k < len(self.kept) else _all(distances)
        near = np.take_along_axis(distances, found, axis=1)
        order = np.argsort(near, axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1) + np.einsum("ij,ij->i", z, z)[:, None]
        return np.take_along_axis(found, order, axis=1), np.maximum(near, np.float32(0.0))

    def _coordinates(self, values: Array) -> Array:
        z: Array = (values - self.center) * self.per_scale
        np.nan_to_num(z, copy=False, nan=float(_FAR))
        np.clip(z, -_FAR, _FAR, out=z)
        if self.directions:
            length = np.sqrt(np.einsum("ij,ij->i", z, z))
            z /= np.maximum(length, np.float32(1e-12))[:, None]
        return np.asarray(z, dtype=np.float32)

    def to_arrays(self, index: int) -> dict[str, Array]:
        """What a bundle keeps, of the layer with this index."""
        return {f"center_{index}": self.center, f"per_scale_{index}": self.per_scale, f"kept_{index}": self.kept}

    @staticmethod
    def from_arrays(arrays: Arrays, index: int, directions: bool) -> Neighbors:
        """The one that `to_arrays` wrote."""
        kept = np.ascontiguousarray(arrays[f"kept_{index}"])
        squares = np.einsum("ij,ij->i", kept, kept)
        return Neighbors(arrays[f"center_{index}"], arrays[f"per_scale_{index}"], kept, squares, directions)


def _all(distances: Array) -> Array:
    return np.broadcast_to(np.arange(distances.shape[1]), distances.shape)
