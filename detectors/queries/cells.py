"""Cells that the reference fills evenly: how much of its space a caller has seen is how many of them it was in.

A k-d tree (Bentley 1975) over principal components: every cell is halved at its own median, so that each holds as many
reference rows as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

DEPTH = 10  # halvings: 1024 cells, 128 bytes a caller
_LEAST = 8  # reference rows in a cell
_COMPONENTS = 5
_FITTED = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """`directions` (d, components) and `offset` (components,); `levels` (2^depth - 1,): the median at every node.

    The children of node i are 2 i + 1 and 2 i + 2.
    """

    directions: Array
    offset: Array
    levels: Array

    @staticmethod
    def fit(rows: Array, seed: int = 0) -> Cells:
        """Of reference rows (n, ...).

        Raises:
            ValueError: there are too few.
        """
        some = np.random.default_rng(seed).permutation(len(rows))[:_FITTED]
        flat = _flat(rows[some]).astype(np.float64)
        depth = min(DEPTH, int(np.log2(max(len(flat) / _LEAST, 1))))
        if depth < 3:
            raise ValueError(f"expected at least {8 * _LEAST} rows, found {len(flat)}")
        mean, scale = flat.mean(axis=0), flat.std(axis=0)
        units = 1.0 / np.where(scale > 0.0, scale, 1.0)
        _, directions = np.linalg.eigh(np.cov((flat - mean) * units, rowvar=False).reshape(flat.shape[1], -1))
        directions = directions[:, ::-1][:, :_COMPONENTS] * units[:, None]
        found = Cells(directions.astype(np.float32), (mean @ directions).astype(np.float32), np.empty(0, np.float32))
        return Cells(found.directions, found.offset, _levels(found._components(rows[some]), depth))

    def __len__(self) -> int:
        return len(self.levels) + 1

    def __call__(self, rows: Array) -> Array:
        """(n,) int64 in [0, number of cells)."""
        z = self._components(rows)
        node, every = np.zeros(len(z), dtype=np.int64), np.arange(len(z))
        for depth in range(len(self).bit_length() - 1):
            node = 2 * node + 1 + (z[every, depth % z.shape[1]] > self.levels[node])
        return node - len(self.levels)

    def _components(self, rows: Array) -> Array:
        return np.asarray(_flat(rows) @ self.directions - self.offset)

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        return {"directions": self.directions, "offset": self.offset, "levels": self.levels}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Cells:
        """The cells that `to_arrays` wrote."""
        return Cells(arrays["directions"], arrays["offset"], arrays["levels"])


def _flat(rows: Array) -> Array:
    return np.nan_to_num(rows.reshape(len(rows), -1).astype(np.float32), nan=0.0, posinf=1e6, neginf=-1e6)


def _levels(z: Array, depth: int) -> Array:
    levels = np.zeros(2**depth - 1, dtype=np.float32)
    members = [np.arange(len(z))]
    for node in range(len(levels)):
        own = members[node]
        values = z[own, ((node + 1).bit_length() - 1) % z.shape[1]]
        levels[node] = np.median(values)
        members += [own[values <= levels[node]], own[values > levels[node]]]
    return levels
