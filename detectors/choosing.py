"""Which pieces of evidence are worth their cost. Pure.

Free pieces are dropped one by one, the one that gives least first (recursive feature elimination: Guyon, Weston,
Barnhill, Vapnik, Machine Learning 2002). Costly ones are added one by one to what is left, the one that helps most
first, each tried on all rows and on those alone that the free ones find odd. Everything is judged on rows that the
judged stack did not learn from, and on kinds of attack that it never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detectors.envelope import MORE
from detectors.options import Choice, Option, Terms
from detectors.stacking import Scores
from detectors.trial import Trial

SLIGHT = 0.005  # of the attacked rows: a difference that pays for nothing
PRICE = 0.1  # of them, for sparing one kind of wear
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of honest rows that costly evidence may be asked about, beside all
MOST_COSTLY = 3
_IDLE = 0.01  # of the evidence: all pieces that give less are dropped at once


def choose(scores: Scores, terms: Terms) -> Choice:
    """The cheapest option that finds as much as the best one; within a limit, its pieces on as many rows as helps."""
    trial = Trial.of(scores, terms)
    free = tuple(int(i) for i in np.flatnonzero(np.array(terms.costs) == 0.0))
    calm = tuple(piece for piece in free if _calm(scores, piece, terms.budgets[0]))
    kept, gate = _eliminated(trial, free), _eliminated(trial, calm)
    options = [trial.judged(kept)] if kept else []
    costly: tuple[int, ...] = ()
    left = [int(i) for i in np.flatnonzero(np.array(terms.costs) > 0.0)]
    while left and len(costly) < MOST_COSTLY:
        before = _best(options, terms)
        tried = {piece: _shared(trial, kept, (*costly, piece), gate) for piece in left}
        options += [option for found in tried.values() for option in found]
        value = {piece: _best(found, terms) for piece, found in tried.items()}
        best = max(value, key=lambda piece: value[piece])
        if value[best] <= before + SLIGHT:
            break
        costly = (*costly, best)
        left.remove(best)
    allowed = [option for option in options if _allowed(option, terms)] or options
    taken = _cheapest(allowed)
    if terms.limit is not None:
        taken = _widest(taken, allowed)
    return Choice(taken, _frontier(options))


def dear(scores: Scores, terms: Terms) -> tuple[str, ...]:
    """The kinds of wear that it costs too much to spare: so many more attacked rows would be found without."""
    free = tuple(int(i) for i in np.flatnonzero(np.array(terms.costs) == 0.0))

    def found(kinds: Sequence[str]) -> float:
        kept = replace(scores, worn={kind: part for kind, part in scores.worn.items() if kind in kinds})
        trial = Trial.of(kept, replace(terms, families=()))
        return float(trial.judged(free).found.mean())

    everything = found(list(scores.worn)) if free and scores.worn else 0.0
    return tuple(
        kind for kind in scores.worn if found([other for other in scores.worn if other != kind]) > everything + PRICE
    )


def _best(options: Sequence[Option], terms: Terms) -> float:
    return max((option.value for option in options if _allowed(option, terms)), default=-1.0)


def _allowed(option: Option, terms: Terms) -> bool:
    return terms.limit is None or option.cost <= terms.limit + 1e-9


def _cheapest(options: Sequence[Option]) -> Option:
    best = max(option.value for option in options)
    enough = [option for option in options if option.value >= best - SLIGHT]
    return min(enough, key=lambda option: (option.cost, -option.value))


def _widest(taken: Option, options: Sequence[Option]) -> Option:
    """The same pieces on as many rows as helps: a stated limit may be used up, and other attacks pass gates worse."""
    same = [option for option in options if (option.free, option.costly) == (taken.free, taken.costly)]
    return max(same, key=lambda option: (option.value, -option.cost))


def _frontier(options: Sequence[Option]) -> tuple[Option, ...]:
    """What is better than all that is cheaper."""
    kept: list[Option] = []
    for option in sorted(options, key=lambda option: (option.cost, -option.value)):
        if not kept or option.value > kept[-1].value:
            kept.append(option)
    return tuple(kept)


def _eliminated(trial: Trial, free: tuple[int, ...]) -> tuple[int, ...]:
    """The smallest set on the way down from all that finds as much as the best one on it."""
    path: list[tuple[float, tuple[int, ...]]] = []
    while free:
        path.append((trial.judged(free).value, free))
        shares = trial.shares(free)
        least = max(float(shares.min()), _IDLE)
        free = tuple(piece for piece, share in zip(free, shares, strict=True) if share > least and len(free) > 1)
    best = max((value for value, _ in path), default=0.0)
    return next((kept for value, kept in reversed(path) if value >= best - SLIGHT), ())


def _calm(scores: Scores, piece: int, budget: float) -> bool:
    """Whether mild wear looks honest to it: a gate has no floor that would spare such rows."""
    low, high = np.quantile(scores.honest[:, piece], (budget / 2.0, 1.0 - budget / 2.0))
    worn = [part[:, piece] for part in scores.worn.values()]
    return all(float(((part < low) | (part > high)).mean()) <= MORE * budget for part in worn)


def _shared(trial: Trial, free: tuple[int, ...], costly: tuple[int, ...], gate: tuple[int, ...]) -> list[Option]:
    """These costly pieces on all rows, and on some."""
    terms, shares = trial.terms, list(SHARES)
    if terms.limit is not None:
        fitting = (terms.limit - 1.0 - terms.spent) / sum(terms.costs[piece] for piece in costly)
        shares += [fitting] if 0.0 < fitting < 1.0 else []
    gated = [trial.judged(free, costly, share, gate) for share in shares if gate]
    return [*gated, trial.judged(free, costly)]
