"""How much each piece of evidence counts, learned from honest, mildly worn and attacked rows. Pure.

Pieces that add next to nothing are left out, and the rest is learned again: what is not needed costs no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.logistic import fit_logistic
from detectors.rarity import Rarity
from models.batch import Array

_ENOUGH = 200  # honest rows: from twice as many on, rarities and weights are learned on different ones
_HONEST = 0.05  # of honest rows may score higher than what counts as found
_LITTLE = 0.02  # of the evidence against attacks: a piece that gives less is left out


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores (n, pieces) of each kind of row; `worn` has one entry a kind of wear, `attacked` one an attack."""

    honest: Array
    worn: Mapping[str, Array]
    attacked: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """`pieces` are columns of the scores; each has a rarity and `weights` (pieces, 4) for what it gives.

    `shares` (pieces,) of the evidence against attacked rows come from each; `found` of the attacked rows score higher
    than all but 5 % of the honest ones.
    """

    pieces: tuple[int, ...]
    rarities: tuple[Rarity, ...]
    weights: Array
    constant: float
    shares: Array
    found: float

    @staticmethod
    def learn(scores: Scores) -> Stack:
        """Learned twice: the second time without pieces that give next to nothing."""
        halves = (scores.honest[::2], scores.honest[1::2])
        if len(halves[1]) < _ENOUGH:
            halves = (scores.honest, scores.honest)
        rarities = [Rarity.fit(column) for column in halves[0].T]
        worn = np.concatenate(list(scores.worn.values())) if scores.worn else halves[1]
        rows = [_evidence(rarities, part) for part in (halves[1], worn, *scores.attacked)]
        stack = _stacked(tuple(range(len(rarities))), rarities, rows)
        needed = np.flatnonzero(stack.shares >= _LITTLE)
        if 0 < len(needed) < len(stack.shares):
            columns = np.concatenate([np.arange(4 * piece, 4 * piece + 4) for piece in needed])
            stack = _stacked(
                tuple(needed.tolist()),
                [rarities[piece] for piece in needed],
                [part[:, columns] for part in rows],
            )
        return stack

    def logit(self, scores: Array) -> Array:
        """(n,) float64 of scores (n, all pieces that were there to learn from): their sum."""
        evidence = _evidence(self.rarities, scores[:, self.pieces])
        return np.asarray(evidence @ self.weights.ravel() + self.constant)


def _stacked(pieces: tuple[int, ...], rarities: Sequence[Rarity], rows: Sequence[Array]) -> Stack:
    """Of evidence (n, 4 pieces) of honest, worn and attacked rows; each kind of row counts the same."""
    attacked = np.repeat(np.arange(len(rows)) >= 2, [len(part) for part in rows])
    weight = np.concatenate([np.full(len(part), 1.0 / len(part)) for part in rows])
    weights, constant = fit_logistic(np.concatenate(rows), attacked, weight)
    honest, _, *attacks = (part @ weights + constant for part in rows)
    shares = np.mean([(part * weights).mean(axis=0) for part in rows[2:]], axis=0).reshape(-1, 4).sum(axis=1)
    shares /= max(float(shares.sum()), 1e-12)
    cut = float(np.quantile(honest, 1.0 - _HONEST))
    found = float(np.mean([(logit > cut).mean() for logit in attacks]))
    return Stack(pieces, tuple(rarities), weights.reshape(-1, 4), constant, shares, found)


def _evidence(rarities: Sequence[Rarity], scores: Array) -> Array:
    """(n, 4 pieces), by the same interpolation that scoring uses."""
    columns = [
        np.interp(scores[:, column], rarity.knots, piece)
        for column, rarity in enumerate(rarities)
        for piece in rarity.pieces().T
    ]
    return np.stack(columns, axis=1)
