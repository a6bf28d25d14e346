"""How high the scores of honest rows are, and of rows with mild wear, which may be flagged more often. Pure.

A tail map of the envelope says of a score how rare it is among the rows for which that comes closest to what is
allowed: a cut that flags a share of honest rows then flags at most `MORE` times that share of each kind of worn ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.calibration import CERTAIN
from models.batch import Array

MORE = 2.0  # times as often may worn rows be flagged
_FEW = 20  # scores of a kind, below which its tail can't be told


@dataclass(frozen=True, slots=True)
class Kind:
    """Scores (n,) of rows of one kind, which are `share` of all rows of that kind; `more` times as many of them may be
    flagged as of honest ones.
    """

    scores: Array
    share: float = 1.0
    more: float = 1.0


def with_wear(scores: Array, share: float = 1.0) -> Kind:
    """Scores (n,) of rows with one kind of wear."""
    return Kind(scores, share, MORE)


def envelope(honest: Kind, others: Sequence[Kind]) -> tuple[Array, float]:
    """As many scores as honest rows have, and which share of all rows they come from, for `TailMap.fit`.

    The score that a share p of them reaches is the highest that p of the honest rows reach, or `more` p of some other
    kind. Kinds of too few rows are left out.
    """
    kinds = [honest, *(kind for kind in others if len(kind.scores) >= _FEW)]
    sure = [np.sort(kind.scores[kind.scores < CERTAIN].astype(np.float64)) for kind in kinds]
    if len(kinds) == 1 or len(sure[0]) == 0:
        return honest.scores, honest.share
    count = max(len(sure[0]), _FEW)
    most = max(kind.share / kind.more for kind in kinds)
    levels = most * np.arange(1, count + 1) / (count + 1.0)
    found = [_reached(scores, levels, kind) for scores, kind in zip(sure, kinds, strict=True) if len(scores)]
    return np.max(found, axis=0), most


def _reached(scores: Array, levels: Array, kind: Kind) -> Array:
    """(levels,) the score that so many of the kind reach, of ascending `scores`; -inf where fewer have any."""
    asked = levels * kind.more / kind.share
    places = len(scores) - np.floor(asked * (len(scores) + 1.0)).astype(np.int64)
    reached = scores[np.clip(places, 0, len(scores) - 1)]
    return np.asarray(np.where(asked > 1.0, -np.inf, reached))
