"""Which pieces of evidence are worth their cost. Pure.

Free pieces are dropped one by one, the one that gives least first (recursive feature elimination: Guyon, Weston,
Barnhill, Vapnik, Machine Learning 2002). Costly ones are added one by one to what is left, the one that helps most
first, each tried on all rows and on those alone that the free ones find odd. Everything is judged on rows that the
judged stack did not learn from, and on kinds of attack that it never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.calibration import TailMap
from detectors.envelope import MORE, Kind, envelope, with_wear
from detectors.stacking import Scores, Stack
from models.batch import Array

SLIGHT = 0.005  # of the attacked rows: a difference that pays for nothing
PRICE = 0.1  # of them, for sparing one kind of wear
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of honest rows that costly evidence may be asked about, beside all
WEIGHTS = (1.0, 0.2)  # of the free evidence where costly evidence looks closer
MOST_COSTLY = 3
_IDLE = 0.01  # of the evidence: all pieces that give less are dropped at once


@dataclass(frozen=True, slots=True)
class Terms:
    """`costs` (pieces,) are forward passes a row beyond the one that answers. `budgets`: shares of honest rows that may
    be flagged. `families`: indices of attacks that are alike. `limit` is the most forward passes a row on average, the
    first one and `spent` ones on other things counted in.
    """

    costs: tuple[float, ...]
    budgets: tuple[float, ...]
    families: tuple[tuple[int, ...], ...]
    limit: float | None = None
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Option:
    """A set of pieces: `free` ones on every row, and with them `costly` ones on the most suspicious `share` of honest
    rows, or on all.

    `found` (budgets, attacks) are shares of attacked rows, `unseen` the same where what was learned from had no attack
    of that family; `worn` (budgets,) of mildly worn rows. `value` is what options are compared by.
    """

    free: tuple[int, ...]
    costly: tuple[int, ...]
    share: float
    weight: float
    gate: tuple[int, ...]
    cost: float
    found: Array
    unseen: Array
    worn: Array
    value: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The option that was taken, and all that none was better and cheaper than, cheapest first."""

    taken: Option
    frontier: tuple[Option, ...]


def choose(scores: Scores, terms: Terms) -> Choice:
    """The cheapest option that finds as much as the best one; within a limit, its pieces on as many rows as helps."""
    trial = _Trial.of(scores, terms)
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
        trial = _Trial.of(kept, replace(terms, families=()))
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


def _eliminated(trial: _Trial, free: tuple[int, ...]) -> tuple[int, ...]:
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


def _shared(trial: _Trial, free: tuple[int, ...], costly: tuple[int, ...], gate: tuple[int, ...]) -> list[Option]:
    """These costly pieces on all rows, and on some. A gate tells rows apart up to its weight, and no farther."""
    terms, shares = trial.terms, list(SHARES)
    if terms.limit is not None:
        fitting = (terms.limit - 1.0 - terms.spent) / sum(terms.costs[piece] for piece in costly)
        shares += [fitting] if 0.0 < fitting < 1.0 else []
    ways = [(share, weight) for share in shares for weight in WEIGHTS if share < weight and gate]
    gated = [trial.judged(free, costly, share, weight, gate) for share, weight in ways]
    return [*gated, trial.judged(free, costly)]


@dataclass(frozen=True, slots=True)
class _Trial:
    """Two folds, each learned from and judged on; what was learned is kept."""

    terms: Terms
    folds: tuple[tuple[Scores, Scores], ...]
    known: dict[tuple[tuple[int, ...], int, int], tuple[Stack, list[Array]]] = field(default_factory=dict)

    @staticmethod
    def of(scores: Scores, terms: Terms) -> _Trial:
        even, odd = (
            _apart(scores, lambda part, k=k: part[k::2])  # type: ignore[misc]
            for k in (0, 1)
        )
        return _Trial(terms, ((even, odd), (odd, even)))

    def shares(self, pieces: tuple[int, ...]) -> Array:
        """(pieces,) of the evidence against attacks that comes from each, over the folds."""
        given = np.zeros(len(pieces))
        for fold in range(len(self.folds)):
            stack = self._learned(pieces, fold, -1)[0]
            given[list(stack.pieces)] += stack.shares
        return given

    def judged(
        self,
        free: tuple[int, ...],
        costly: tuple[int, ...] = (),
        share: float = 1.0,
        weight: float = 1.0,
        gate: tuple[int, ...] = (),
    ) -> Option:
        """What an option finds; see there."""
        terms, pieces = self.terms, free + costly

        def rates(without: int) -> Array:
            folds = [self._rates(pieces, share, weight, gate, fold, without) for fold in range(2)]
            return np.asarray(np.mean(folds, axis=0))

        seen = rates(-1)
        found, worn = seen[:, 1:], seen[:, 0]
        unseen = found.copy()
        if len(terms.families) > 1:
            for index, family in enumerate(terms.families):
                unseen[:, list(family)] = rates(index)[:, 1:][:, list(family)]
        excess = np.maximum(worn - MORE * np.array(terms.budgets), 0.0)
        value = float((found.mean(axis=1) + unseen.mean(axis=1)).mean() / 2.0 - excess.mean())
        cost = 1.0 + terms.spent + share * sum(terms.costs[piece] for piece in costly)
        return Option(free, costly, share, weight, gate, cost, found, unseen, worn, value)

    def _rates(
        self,
        pieces: tuple[int, ...],
        share: float,
        weight: float,
        gate: tuple[int, ...],
        fold: int,
        without: int,
    ) -> Array:
        """(budgets, 1 + attacks) shares below each cut, of the kind of worn rows that has most there, and of attacked
        ones; `without` a family.
        """
        closer = self._learned(pieces, fold, without)[1]
        kinds = 1 + len(self.folds[fold][1].worn)
        if share == 1.0:
            tail = TailMap.fit(*envelope(Kind(closer[0]), [with_wear(part) for part in closer[1:kinds]]))
            rows = [tail(part) for part in closer]
        else:
            rows = _cascade(self._learned(gate, fold, without)[1], closer, share, weight, kinds)
        budgets = np.array(self.terms.budgets)
        allowed = [np.quantile(part, np.minimum(MORE * budgets, 1.0), method="lower") for part in rows[1:kinds]]
        cuts = np.min([np.quantile(rows[0], budgets, method="lower"), *allowed], axis=0)
        below: Array = np.array([[float((part < cut).mean()) for part in rows[1:]] for cut in cuts])
        worst = below[:, : kinds - 1].max(axis=1, initial=0.0)
        return np.column_stack([worst, below[:, kinds - 1 :]])

    def _learned(self, pieces: tuple[int, ...], fold: int, without: int) -> tuple[Stack, list[Array]]:
        """The stack of these pieces, and its logits of the other fold's honest, worn and attacked rows."""
        key = (pieces, fold, without)
        if key not in self.known:
            fitted, held = (_columns(part, pieces) for part in self.folds[fold])
            if without >= 0:
                left = [part for i, part in enumerate(fitted.attacked) if i not in self.terms.families[without]]
                fitted = replace(fitted, attacked=tuple(left))
            stack = Stack.learn(fitted)
            parts = (held.honest, *held.worn.values(), *held.attacked)
            self.known[key] = stack, [stack.logit(part) for part in parts]
        return self.known[key]


def _cascade(first: Sequence[Array], closer: Sequence[Array], share: float, weight: float, kinds: int) -> list[Array]:
    """The chain statistic of honest, worn and attacked rows where only the first stage's odd ones are looked at closer.
    Honest and worn rows are the first `kinds` ones.

    As `detectors.calibration.Gate` has it: ties at the bound are left out.
    """
    tail = TailMap.fit(*envelope(Kind(first[0]), [with_wear(part) for part in first[1:kinds]]))
    rows = [tail(part) for part in first]
    bound = np.sort(rows[0])[min(max(round(share * len(rows[0])), 1), len(rows[0]) - 1)]
    asked = [part < bound for part in rows]
    rows = [part / weight for part in rows]
    if not asked[0].any():
        return rows
    honest, *worn = [
        Kind(part[mask], float(mask.mean())) for part, mask in zip(closer[:kinds], asked[:kinds], strict=True)
    ]
    again = TailMap.fit(*envelope(honest, [replace(kind, more=MORE) for kind in worn if kind.share > 0.0]))
    return [
        np.minimum(part, np.where(mask, again(logit), np.inf))
        for part, mask, logit in zip(rows, asked, closer, strict=True)
    ]


def _columns(scores: Scores, pieces: tuple[int, ...]) -> Scores:
    at = list(pieces)
    return _apart(scores, lambda part: part[:, at])


def _apart(scores: Scores, of: Callable[[Array], Array]) -> Scores:
    worn = {kind: of(part) for kind, part in scores.worn.items()}
    return Scores(of(scores.honest), worn, tuple(of(part) for part in scores.attacked))
