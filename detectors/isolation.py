"""Isolation trees in arrays, and the path of many rows through all of them at once. Pure.

Liu, Ting, Zhou: Isolation Forest (ICDM 2008). A row costs microseconds, where a tree at a time costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array, Arrays

_BLOCK = 256  # rows at a time


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees (t, nodes), each padded to the largest: a row goes on to `child` where its value in `column` is at most
    `threshold`, else to the node after that. A leaf's child is the leaf itself, its threshold infinite.

    `length` is a leaf's path length, with what the rows still in it would add; `usual` that of a middling row.
    """

    column: Array
    threshold: Array
    child: Array
    length: Array
    depth: int
    usual: float

    @staticmethod
    def grow(x: Array, trees: int, sample: int, rng: np.random.Generator) -> Forest:
        """On rows (n, columns) float32 without missing values, each tree on its own draw of so many."""
        sample = min(sample, len(x))
        depth = max(int(np.ceil(np.log2(sample))), 1)
        grown = [_grow(x[rng.choice(len(x), sample, replace=False)], depth, rng) for _ in range(trees)]
        size = max(len(tree) for tree in grown)
        table = np.stack([_padded(tree, size) for tree in grown])
        return Forest(
            table[:, :, 0].astype(np.int32),
            table[:, :, 1].astype(np.float32),
            table[:, :, 2].astype(np.int32),
            table[:, :, 3],
            depth,
            float(expected_length(np.array(sample))),
        )

    def score(self, x: Array) -> Array:
        """(n,) float64 between 0 and 1 of rows (n, columns) float32: near 1 what few splits set apart."""
        parts = [self._score(x[start : start + _BLOCK]) for start in range(0, len(x), _BLOCK)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _score(self, x: Array) -> Array:
        trees, size = self.column.shape
        column, threshold = self.column.ravel(), self.threshold.ravel()
        first = np.arange(trees, dtype=np.int32) * size
        child = (self.child + first[:, None]).ravel()
        flat, start = x.ravel(), (np.arange(len(x), dtype=np.int64) * x.shape[1])[:, None]
        node = np.broadcast_to(first, (len(x), trees))
        for _ in range(self.depth):
            node = child[node] + (flat[start + column[node]] > threshold[node])
        return np.asarray(np.exp2(-self.length.ravel()[node].mean(axis=1) / self.usual))

    def to_arrays(self) -> dict[str, Array]:
        """What a bundle keeps."""
        arrays = {name: getattr(self, name) for name in ("column", "threshold", "child", "length")}
        return arrays | {"depth": np.array(self.depth), "usual": np.array(self.usual)}

    @staticmethod
    def from_arrays(arrays: Arrays) -> Forest:
        """The one that `to_arrays` wrote."""
        column, threshold, child, length = (arrays[name] for name in ("column", "threshold", "child", "length"))
        return Forest(column, threshold, child, length, int(arrays["depth"]), float(arrays["usual"]))


def expected_length(rows: Array) -> Array:
    """The mean path length of an unsuccessful search in a tree of so many rows (n,): equation 1 of the paper."""
    n = np.asarray(rows, dtype=np.float64)
    harmonic = np.log(np.maximum(n - 1.0, 1.0)) + np.euler_gamma
    found = 2.0 * harmonic - 2.0 * (n - 1.0) / np.maximum(n, 1.0)
    return np.asarray(np.where(n > 2, found, np.where(n == 2, 1.0, 0.0)))


def _grow(x: Array, most_depth: int, rng: np.random.Generator) -> list[tuple[float, float, float, float]]:
    """Column, threshold, child and length of every node; children lie side by side, parents before them."""
    nodes: list[tuple[float, float, float, float]] = [(0, np.inf, 0, 0)]
    open_nodes = [(0, 0, x)]
    while open_nodes:
        index, depth, rows = open_nodes.pop()
        low, high = rows.min(axis=0), rows.max(axis=0)
        varied = np.flatnonzero(high > low)
        if depth == most_depth or len(varied) == 0:
            nodes[index] = (0, np.inf, index, depth + float(expected_length(np.array(len(rows)))))
            continue
        column = int(rng.choice(varied))
        threshold = np.float32(rng.uniform(low[column], high[column]))
        threshold = min(threshold, np.nextafter(high[column], low[column]))  # rounded up to it, nothing would be right
        left = rows[:, column] <= threshold
        child = len(nodes)
        nodes[index] = (column, float(threshold), child, 0)
        nodes += [(0, np.inf, 0, 0)] * 2
        open_nodes += [(child, depth + 1, rows[left]), (child + 1, depth + 1, rows[~left])]
    return nodes


def _padded(tree: list[tuple[float, float, float, float]], size: int) -> Array:
    table = np.zeros((size, 4))
    table[: len(tree)] = tree
    return table
