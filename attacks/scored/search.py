"""Random search on the margin: a change is kept where it brings the wrong class closer. All rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.batch import Array

# Rows in unit space, and which of all rows each is, to logits (n, classes).
Ask = Callable[[Array, Array], Array]


def margin(logits: Array, y: Array) -> Array:
    """(n,) the best other logit minus that of label `y`: positive where the row is misclassified."""
    rows = np.arange(len(logits))
    others = logits.astype(np.float64)
    own = others[rows, y].copy()
    others[rows, y] = -np.inf
    return np.asarray(others.max(axis=1) - own)


@dataclass(slots=True)
class Search:
    """The best of each row (n, ...) so far and its margin (n,)."""

    ask: Ask
    y: Array
    rows: Array
    gap: Array

    @staticmethod
    def start(ask: Ask, rows: Array, y: Array) -> Search:
        """From these rows, labels `y` (n,)."""
        return Search(ask, y, rows.copy(), margin(ask(rows, np.arange(len(rows))), y))

    @property
    def left(self) -> Array:
        """(m,) the rows that the model still gets right."""
        return np.flatnonzero(self.gap <= 0.0)

    def offer(self, rows: Array, which: Array) -> None:
        """Keeps those of the rows `which` (m,) whose margin is higher than before."""
        gap = margin(self.ask(rows, which), self.y[which])
        better = gap > self.gap[which]
        self.gap[which[better]], self.rows[which[better]] = gap[better], rows[better]


def nearer(ask: Ask, clean: Array, won: Array, y: Array, halvings: int) -> Array:
    """Rows on the way from `won` back to `clean` (n, ...), as close to it as they still fool the model.

    The bisection with which Brendel, Rauber, Bethge (Decision-Based Adversarial Attacks, ICLR 2018) reach a boundary.
    """
    everyone, shape = np.arange(len(won)), (-1, *[1] * (won.ndim - 1))
    low, high, best = np.zeros(len(won)), np.ones(len(won)), won.copy()
    for _ in range(halvings):
        middle = (low + high) / 2.0
        tried = clean + middle.reshape(shape) * (won - clean)
        fools = margin(ask(tried, everyone), y) > 0.0
        high, low = np.where(fools, middle, high), np.where(fools, low, middle)
        best[fools] = tried[fools]
    return best
