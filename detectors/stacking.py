"""How much each piece of evidence counts, learned from honest, mildly worn and attacked rows. Pure.

Pieces that add next to nothing are left out, and the rest is learned again: what is not needed costs no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.logistic import fit_logistic
from detectors.rarity import Rarity
from models.batch import Array

_ENOUGH = 200  # honest rows: from twice as many on, rarities and weights are learned on different ones
_HONEST = 0.05  # of honest rows may lie above the floor
_WORN = 0.02  # of mildly worn rows, where that costs little
_LITTLE = 0.02  # of the evidence against attacks: a piece that gives less is left out


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores (n, pieces) of each kind of row; `attacked` has one entry an attack."""

    honest: Array
    worn: Array
    attacked: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """`pieces` are columns of the scores; each has a rarity and `weights` (pieces, 4) for what it gives.

    Below `floor` all rows tie. `shares` (pieces,) of the evidence against attacked rows come from each; `found` of the
    attacked rows lie above the floor, and `above` of the honest ones.
    """

    pieces: tuple[int, ...]
    rarities: tuple[Rarity, ...]
    weights: Array
    constant: float
    floor: float
    shares: Array
    found: float
    above: float

    @staticmethod
    def learn(scores: Scores, spare: float) -> Stack:
        """`spare` of the attacked rows may be missed, more than at 5 % of honest rows, for the sake of worn ones."""
        halves = (scores.honest[::2], scores.honest[1::2])
        if len(halves[1]) < _ENOUGH:
            halves = (scores.honest, scores.honest)
        rarities = [Rarity.fit(column) for column in halves[0].T]
        rows = [_evidence(rarities, part) for part in (halves[1], scores.worn, *scores.attacked)]
        stack = _stacked(tuple(range(len(rarities))), rarities, rows, spare)
        needed = np.flatnonzero(stack.shares >= _LITTLE)
        if 0 < len(needed) < len(stack.shares):
            columns = np.concatenate([np.arange(4 * piece, 4 * piece + 4) for piece in needed])
            stack = _stacked(
                tuple(needed.tolist()),
                [rarities[piece] for piece in needed],
                [part[:, columns] for part in rows],
                spare,
            )
        return stack

    def logit(self, scores: Array) -> Array:
        """(n,) float64 of scores (n, all pieces that were there to learn from): their sum, without the floor."""
        evidence = _evidence(self.rarities, scores[:, self.pieces])
        return np.asarray(evidence @ self.weights.ravel() + self.constant)


def _stacked(pieces: tuple[int, ...], rarities: Sequence[Rarity], rows: Sequence[Array], spare: float) -> Stack:
    """Of evidence (n, 4 pieces) of honest, worn and attacked rows; each kind of row counts the same."""
    attacked = np.repeat(np.arange(len(rows)) >= 2, [len(part) for part in rows])
    weight = np.concatenate([np.full(len(part), 1.0 / len(part)) for part in rows])
    weights, constant = fit_logistic(np.concatenate(rows), attacked, weight)
    honest, worn, *attacks = (part @ weights + constant for part in rows)
    shares = np.mean([(part * weights).mean(axis=0) for part in rows[2:]], axis=0).reshape(-1, 4).sum(axis=1)
    shares /= max(float(shares.sum()), 1e-12)
    stack = Stack(pieces, tuple(rarities), weights.reshape(-1, 4), constant, 0.0, shares, 0.0, 0.0)
    floor = _floor(honest, worn, attacks, spare)
    return replace(stack, floor=floor, found=_found(attacks, floor), above=float((honest > floor).mean()))


def _evidence(rarities: Sequence[Rarity], scores: Array) -> Array:
    """(n, 4 pieces), by the same interpolation that scoring uses."""
    columns = [
        np.interp(scores[:, column], rarity.knots, piece)
        for column, rarity in enumerate(rarities)
        for piece in rarity.pieces().T
    ]
    return np.stack(columns, axis=1)


def _found(attacks: Sequence[Array], cut: float) -> float:
    """The share of attacked rows above a cut, each attack counting the same."""
    return float(np.mean([(logit > cut).mean() for logit in attacks]))


def _floor(honest: Array, worn: Array, attacks: Sequence[Array], spare: float) -> float:
    """The highest floor, up to where hardly a worn row lies above it, that costs at most `spare` of what is found.

    Below it all rows tie, and a budget that would have to be spent on rows that are merely unusual stays unspent.
    """
    lowest = float(np.quantile(honest, 1.0 - _HONEST))
    highest = max(float(np.quantile(worn, 1.0 - _WORN)), lowest)
    least = _found(attacks, lowest) - spare
    return float(max(floor for floor in np.linspace(lowest, highest, 101) if _found(attacks, floor) >= least))
