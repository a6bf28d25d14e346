"""Twin of isolation forests: the exact score, with the slope of trees whose splits are smooth steps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attacks.evidence.base import Twin, constant, straight_through
from attacks.passes import Passes
from detectors.isolation import Forest
from detectors.isolation_forest import IsolationForest, numbers
from models.batch import Array

_WIDTH = 0.1  # of a smooth step, in standard deviations of the column's thresholds


def isolation_forest(detector: IsolationForest) -> Twin:
    """Twin of `isolation_forest`. Each split that a row meets leads, in part, to the mean length of the other side."""
    forest = detector.forest
    expected, steepness = constant(_expected(forest)), constant(_steepness(forest, len(detector.middle)))
    column, child = (torch.tensor(a.astype(np.int64)) for a in (forest.column, forest.child))
    threshold = torch.tensor(forest.threshold)
    tree = torch.arange(len(column))

    def score(passes: Passes) -> Tensor:
        rows = passes.x.flatten(1)
        seen = numbers(rows.detach().numpy().astype(passes.network.spec.dtype), detector.middle)
        node = torch.zeros(len(rows), len(tree), dtype=torch.int64)
        steps = []
        for _ in range(forest.depth):
            picked = column[tree, node]
            leaf = threshold[tree, node].isinf()
            beyond = torch.nan_to_num(rows.gather(1, picked)).float() - threshold[tree, node]
            right = torch.tensor(seen).gather(1, picked) > threshold[tree, node]
            left = child[tree, node]
            other = expected[tree, torch.where(leaf, left, left + 1 - right.long())]
            taken = torch.sigmoid(torch.where(leaf, 0.0, torch.where(right, beyond, -beyond) * steepness[picked]))
            steps.append((leaf, taken, other))
            node = left + right.long()
        length = expected[tree, node]
        for leaf, taken, other in reversed(steps):
            length = torch.where(leaf, length, taken * length + (1.0 - taken) * other)
        smooth = torch.exp2(-length.mean(dim=1) / forest.usual)
        return straight_through(torch.tensor(forest.score(seen), dtype=smooth.dtype), smooth)

    return score


def _expected(forest: Forest) -> Array:
    """(trees, nodes): a leaf's length, else the mean of both sides'."""
    expected, trees = forest.length.copy(), np.arange(len(forest.length))
    for node in range(forest.length.shape[1] - 1, -1, -1):
        inner = trees[np.isfinite(forest.threshold[:, node])]
        child = forest.child[inner, node]
        expected[inner, node] = 0.5 * (expected[inner, child] + expected[inner, child + 1])
    return expected


def _steepness(forest: Forest, columns: int) -> Array:
    """(columns,): 1 over the width of its steps."""
    steps = np.ones(columns)
    for column in range(columns):
        values = forest.threshold[(forest.column == column) & np.isfinite(forest.threshold)]
        spread = float(values.astype(np.float64).std()) if len(values) else 0.0
        steps[column] = 1.0 / (_WIDTH * (spread or 1.0))
    return steps
