"""Held-out honest rows with worn copies of some beside them, which tail maps and cuts must not take for attacks.

A tail map follows the envelope of honest and worn scores (`detectors.envelope`), so that the chain statistic ranks
evidence by how rare it is among either; it is still one fixed function of a row. The cut is then the lowest of the
conformal one on honest rows at the budget, and of those on each kind of worn rows at twice the budget (conformal
prediction by category, Vovk 2012). Lowering it only strengthens what is promised of honest rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.conformal import Cut, allowed_below
from detectors.envelope import MORE, Kind, envelope, with_wear
from gateway.training.wearing import Wear
from models.backend import ModelBackend
from models.batch import Array, Batch


@dataclass(frozen=True, slots=True)
class Held:
    """All rows, honest ones first; `kind` (n,) is 0 for these, i for those with the wear `names[i - 1]`."""

    batch: Batch
    kind: Array
    names: tuple[str, ...] = ()

    @staticmethod
    def of(honest: Batch, wear: Wear | None, backend: ModelBackend, seed: int) -> Held:
        """These rows, and some of them with each kind of wear."""
        made = {} if wear is None else wear.each(honest, backend, seed)
        parts = [honest, *made.values()]
        kind = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return Held(Batch.concat(parts), kind, tuple(made))

    @property
    def honest(self) -> Array:
        """(n,) mask."""
        return np.asarray(self.kind == 0)

    def usual(self, ran: Array, scores: Array, *, gated: bool) -> tuple[Array, float]:
        """Scores for a tail map, and the share of rows they come from, of the rows `ran` (m,) and their scores (m,)."""
        rows = np.bincount(self.kind, minlength=len(self.names) + 1)
        kinds = self.kind[ran]
        parts = [scores[kinds == index] for index in range(len(rows))]
        shares = [len(part) / max(count, 1) if gated else 1.0 for part, count in zip(parts, rows, strict=True)]
        others = [with_wear(part, share) for part, share in zip(parts[1:], shares[1:], strict=True)]
        return envelope(Kind(parts[0], shares[0]), others)


def lowered(cut: Cut, held: Held, statistic: Array) -> Cut:
    """The cut with which each kind of worn rows is found at most `MORE` times as often as the budget says of honest
    ones, on average; `statistic` (n,) is of all rows. Kinds of too few rows can't tell.
    """
    value, by = cut.value, ""
    for index, name in enumerate(held.names, 1):
        of_kind = statistic[held.kind == index]
        k = allowed_below(len(of_kind), MORE * cut.budget)
        if k == 0:
            continue
        limit = float(np.partition(of_kind, k - 1)[k - 1])
        if 0.0 < limit < value:
            value, by = limit, name
    return cut if not by else replace(cut, value=value, spared=by)
