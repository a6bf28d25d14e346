"""Table rows gone wrong on the way: units, ranges, types, columns. Whole numbers stay whole but where that is it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.adult import COLUMNS, NUMERIC
from benchmarks.data import Images
from benchmarks.quality.subject import Probe


def tampered(x: Images, seed: int = 0) -> Iterator[Probe]:
    """Faults of honest rows (n, 14); only rows that the fault changes."""
    random = np.random.default_rng(seed)
    for column in range(NUMERIC):
        yield _probe(f"{COLUMNS[column]} x10", x, times_ten(x, column))
    yield _probe("far out of range", x, far(x, random))
    yield _probe("a negative amount", x, negative(x, random))
    yield _probe("an unknown code", x, unknown(x, random))
    yield _probe("off the lattice", x, halves(x, random))
    yield _probe("amounts swapped", x, swapped(x, random))
    yield _probe("all columns shuffled", x, shuffled(x, random))
    yield _probe("one column of another row", x, borrowed(x, random))


def _probe(name: str, x: Images, changed: Images) -> Probe:
    touched = (changed != x).any(axis=1)
    return Probe(name, "tampered", changed[touched], tried=len(x))


def times_ten(x: Images, column: int) -> Images:
    """A unit error."""
    changed = x.copy()
    changed[:, column] *= 10
    return changed


def far(x: Images, random: np.random.Generator) -> Images:
    """One amount as far above the largest as that is above the smallest."""
    changed, rows = x.copy(), np.arange(len(x))
    column = random.integers(0, NUMERIC, len(x))
    low, high = x.min(axis=0), x.max(axis=0)
    changed[rows, column] = (2.0 * high - low)[column]
    return changed


def negative(x: Images, random: np.random.Generator) -> Images:
    """One amount with the wrong sign, 0 as -1: often only just out of range."""
    changed, rows = x.copy(), np.arange(len(x))
    column = random.integers(0, NUMERIC, len(x))
    changed[rows, column] = -1.0 - changed[rows, column]
    return changed


def unknown(x: Images, random: np.random.Generator) -> Images:
    """One code that no row has."""
    changed, rows = x.copy(), np.arange(len(x))
    column = random.integers(NUMERIC, x.shape[1], len(x))
    changed[rows, column] = x[:, NUMERIC:].max() + 1.0 + random.integers(0, 20, len(x))
    return changed


def halves(x: Images, random: np.random.Generator) -> Images:
    """One value half way to the next."""
    changed, rows = x.copy(), np.arange(len(x))
    changed[rows, random.integers(0, x.shape[1], len(x))] += np.float32(0.5)
    return changed


def swapped(x: Images, random: np.random.Generator) -> Images:
    """Two amounts of a row in each other's place."""
    changed, rows = x.copy(), np.arange(len(x))
    first = random.integers(0, NUMERIC, len(x))
    second = (first + random.integers(1, NUMERIC, len(x))) % NUMERIC
    changed[rows, first], changed[rows, second] = x[rows, second], x[rows, first]
    return changed


def shuffled(x: Images, random: np.random.Generator) -> Images:
    """Each column in an order of its own: every value is usual, the rows are not."""
    return np.stack([random.permutation(column) for column in x.T], axis=1)


def borrowed(x: Images, random: np.random.Generator) -> Images:
    """One value from another row; often such a row could well be honest."""
    changed, rows = x.copy(), np.arange(len(x))
    column = random.integers(0, x.shape[1], len(x))
    changed[rows, column] = x[random.permutation(len(x)), column]
    return changed
