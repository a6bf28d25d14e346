"""The out-of-domain guard: evidence that finds rows no caller should send, whatever the combiner thinks of them. Pure.

A combiner learns from attacks, and may be blind to all else. So the guard has its own share of the budget, and it is
chosen by rows from outside the domain, and by how few mildly worn honest rows it takes for such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors.calibration import TailMap
from detectors.envelope import MORE, Kind, envelope, with_wear
from models.batch import Array

SHARE = 0.2  # of the budget, for the whole guard
MOST = 2  # pieces of evidence
_ENOUGH = 0.02  # of rows from outside: a second piece that finds no more is left out


@dataclass(frozen=True, slots=True)
class Looked:
    """One piece's scores: of honest rows, of each kind of mildly worn ones, and of each kind of row from outside."""

    honest: Array
    worn: Mapping[str, Array]
    outside: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Guard:
    """The pieces (names), the share of each kind of row from outside that they find, and of the kind of mildly worn
    rows that they take for such most often.
    """

    pieces: tuple[str, ...]
    found: dict[str, float]
    worn: float


def choose_guard(looks: Mapping[str, Looked], budget: float) -> Guard:
    """The guard of these pieces (by name) that finds most when its share of `budget` is what it may flag."""
    guard, value = Guard((), {}, 0.0), 0.0
    while len(guard.pieces) < MOST:
        tried = [_guarded(looks, (*guard.pieces, name), budget) for name in looks if name not in guard.pieces]
        best = max(tried, key=lambda one: _value(one, budget), default=guard)
        if _value(best, budget) <= value + _ENOUGH:
            break
        guard, value = best, _value(best, budget)
    return guard


def _value(guard: Guard, budget: float) -> float:
    found = list(guard.found.values())
    if not found:
        return 0.0
    return (float(np.mean(found)) + min(found)) / 2.0 - max(guard.worn - MORE * budget, 0.0)


def _guarded(looks: Mapping[str, Looked], pieces: tuple[str, ...], budget: float) -> Guard:
    cut = budget * SHARE / len(pieces)
    worn: dict[str, list[Array]] = {}
    outside: dict[str, list[Array]] = {}
    for piece in pieces:
        look = looks[piece]
        tail = TailMap.fit(*envelope(Kind(look.honest), [with_wear(part) for part in look.worn.values()]))
        for kind, scores in look.worn.items():
            worn.setdefault(kind, []).append(tail(scores) < cut)
        for kind, scores in look.outside.items():
            outside.setdefault(kind, []).append(tail(scores) < cut)
    found = {kind: float(np.any(masks, axis=0).mean()) for kind, masks in outside.items()}
    return Guard(pieces, found, max((float(np.any(masks, axis=0).mean()) for masks in worn.values()), default=0.0))
