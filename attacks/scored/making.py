"""Attacked rows to learn from, made by asking the model alone: with ample change, and with hardly more than needed.

How strong is enough differs between models by a factor of ten, so it is measured first, on a few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from attacks.attacked import Attacked
from attacks.scored.coordinates import coordinates
from attacks.scored.grid import Grid
from attacks.scored.search import Ask, margin, nearer
from attacks.scored.square import square
from defenses.axes import smooth_axes
from models.backend import ModelBackend
from models.batch import Array, Batch

ROWS, QUICK_ROWS = 300, 150
_QUERIES, _QUICK_QUERIES = 400, 150
_PROBED, _PROBE_QUERIES = 32, 40
_LADDER = 2.0 ** -np.arange(7.0, 0.0, -1.0)  # changes that are tried to see what is enough, up to half the range
_WEAKEST, _STRONGEST = 0.7, 4.0  # times what wins half the rows, and what wins nearly all
_HALVINGS = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of a batch in unit space, `of` which rows, and the model to ask about them."""

    backend: ModelBackend
    grid: Grid
    batch: Batch
    of: Array
    x: Array
    y: Array

    def ask(self, rows: Array, which: Array) -> Array:
        """(n, classes) the logits of what is sent."""
        part = self.batch.take(which)
        logits = self.backend.predict(part.with_x(self.grid.from_unit(rows, part.x))).logits
        assert logits is not None, "only models with classes are attacked"
        return logits

    def run(self, epsilon: Array, queries: int, seed: int) -> Array:
        """The attack that suits this kind of input, on all these rows."""
        axes = smooth_axes(self.backend.spec)
        if axes:
            return square(self.ask, self.x, self.y, epsilon=epsilon, axes=axes, queries=queries, seed=seed)
        free = np.flatnonzero(~self.grid.fixed.ravel())
        return coordinates(self.ask, self.x, self.y, epsilon=epsilon, free=free, queries=queries, seed=seed)

    def first(self, n: int) -> Asked:
        """Only so many of them."""
        return Asked(self.backend, self.grid, self.batch.take(np.arange(n)), self.of[:n], self.x[:n], self.y[:n])


def attacked(
    backend: ModelBackend,
    grid: Grid,
    batch: Batch,
    y: Array,
    *,
    seed: int,
    quick: bool,
    tell: Callable[[str, int, int], None],
) -> Iterator[Attacked]:
    """Square (images, series) or SimBA (tables) on rows that the model gets right, and the same drawn back to the
    boundary. `y` (n,) are the classes the model gives to them.
    """
    rows = np.random.default_rng(seed).permutation(len(batch))[: QUICK_ROWS if quick else ROWS]
    part = batch.take(rows)
    asked = Asked(backend, grid, part, rows, grid.to_unit(part.x), y[rows].astype(np.int64))
    name = "square" if smooth_axes(backend.spec) else "coordinates"
    tell(f"attack {name}", 0, 2)
    made = asked.run(_drawn(asked, seed), _QUICK_QUERIES if quick else _QUERIES, seed)
    yield Attacked(name, grid.from_unit(made, part.x), rows)
    tell(f"attack {name}, nearer", 1, 2)
    drawn_back = _nearer(asked, made)
    yield Attacked(f"{name}_near", grid.from_unit(drawn_back, part.x), rows)
    tell("attack", 2, 2)


def _drawn(asked: Asked, seed: int) -> Array:
    """(n,) a change for each row, log-uniform from what is hardly enough to what is ample, of whole steps if it can."""
    low, high = _strengths(asked.first(min(_PROBED, len(asked.x))), seed)
    drawn = low * (high / low) ** np.random.default_rng(seed + 1).random(len(asked.x))
    step = asked.grid.even_step
    return np.asarray(drawn if step is None else np.maximum(np.rint(drawn / step), 1.0) * step)


def _strengths(asked: Asked, seed: int) -> tuple[float, float]:
    """The weakest and the strongest change to attack with."""
    smallest = np.full(len(asked.x), np.inf)
    for size in _LADDER:
        rows = asked.run(np.full(len(asked.x), size), _PROBE_QUERIES, seed)
        won = margin(asked.ask(rows, np.arange(len(rows))), asked.y) > 0.0
        smallest = np.minimum(smallest, np.where(won, size, np.inf))
        if won.mean() > 0.95:
            break
    found = smallest[np.isfinite(smallest)]
    if len(found) == 0:
        return float(_LADDER[-3]), float(_LADDER[-1])
    low = max(_WEAKEST * float(np.median(found)), asked.grid.even_step or 0.0)
    return low, max(min(_STRONGEST * float(np.quantile(found, 0.95)), float(_LADDER[-1])), low)


def _nearer(asked: Asked, made: Array) -> Array:
    """What fools the model, drawn back to where it hardly does; the rest as it is."""
    ask: Ask = asked.ask
    won = np.flatnonzero(margin(ask(made, np.arange(len(made))), asked.y) > 0.0)
    found = made.copy()
    if len(won):
        found[won] = nearer(lambda rows, which: ask(rows, won[which]), asked.x[won], made[won], asked.y[won], _HALVINGS)
    return found
