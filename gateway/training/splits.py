"""Who gets which honest row. Each row is used for one thing only, or the guarantees don't hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.batch import Array

# Below these a split is of little use: a tail can't be told from fewer rank rows, nor a rate from fewer check rows.
MIN_RANK, MIN_CHECK, MIN_TRAIN = 100, 50, 100
# Of the holdout. More calibrate rows narrow the spread of the rate, more rank rows only smooth the maps. What a
# combiner would be trained on comes out of `rank` and `check` once there is one: rows that nobody reads help nobody.
CALIBRATE, CHECK = 0.45, 0.2
TRAIN, CHECK_BESIDE_TRAIN = 0.2, 0.15
# Of a single file that is reference and holdout at once: detectors need many normal rows too.
HOLDOUT = 0.5


class TooFewHoldout(ValueError):
    """The holdout is too small for the budget. `needed` rows would do."""

    def __init__(self, needed: int, found: int) -> None:
        super().__init__(f"needs {needed} rows, found {found}")
        self.needed = needed
        self.found = found


@dataclass(frozen=True, slots=True)
class Splits:
    """Indices into the holdout, each part in ascending order and no row in two.

    `train` is what combiners learn from, if there are any (else empty), `rank` sets tail maps and gates, `calibrate`
    only the cuts, `check` only measures.
    """

    rank: Array
    calibrate: Array
    check: Array
    train: Array


def rows_for(calibrate: int) -> int:
    """The fewest holdout rows of which so many can be calibrate rows."""
    return calibrate + MIN_RANK + MIN_CHECK


def split(n: int, calibrate: int, seed: int, group: Array | None = None, *, train: bool = False) -> Splits:
    """Splits n holdout rows, at least `calibrate` of them for the cuts.

    Rows of equal `group` (n,) stay together: rows of one person, place or hour tell of each other. With `train` there
    are train rows too, `MIN_TRAIN` at least; where that is too much to ask, none.

    Raises:
        TooFewHoldout: there are not enough rows.
    """
    if n < rows_for(calibrate):
        raise TooFewHoldout(rows_for(calibrate), n)
    least = MIN_TRAIN if train and n >= rows_for(calibrate) + MIN_TRAIN else 0
    wanted = max(min(round(CALIBRATE * n), n - MIN_RANK - MIN_CHECK - least), calibrate)
    check = min(max(round((CHECK_BESIDE_TRAIN if least else CHECK) * n), MIN_CHECK), n - wanted - MIN_RANK - least)
    trained = min(max(round(TRAIN * n), least), n - wanted - check - MIN_RANK) if least else 0
    parts = _deal(n, (wanted, check, n - wanted - check - trained, trained), seed, group)
    if len(parts[0]) < calibrate:  # groups are coarse: ask for what would surely do
        raise TooFewHoldout(n + 2 * (calibrate - len(parts[0])), n)
    return Splits(rank=parts[2], calibrate=parts[0], check=parts[1], train=parts[3])


def halve(n: int, holdout: int, seed: int, group: Array | None = None) -> tuple[Array, Array]:
    """Splits one file of n rows into reference and holdout indices; the holdout gets at least `holdout` if it can."""
    held = min(max(round(HOLDOUT * n), holdout), n - 1)
    parts = _deal(n, (held, n - held), seed, group)
    return parts[1], parts[0]


def _deal(n: int, sizes: tuple[int, ...], seed: int, group: Array | None) -> list[Array]:
    """Disjoint ascending indices, about `sizes` many (exactly, without groups), by a seeded shuffle of the groups."""
    member = np.arange(n) if group is None else np.unique(group, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(member)
    order = np.random.default_rng(seed).permutation(len(counts))
    middle = np.empty(len(counts))
    middle[order] = np.cumsum(counts[order]) - counts[order] / 2.0
    part = np.searchsorted(np.cumsum(sizes), middle, side="left")
    return [np.flatnonzero(part[member] == index) for index in range(len(sizes))]
