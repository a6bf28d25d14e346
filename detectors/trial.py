"""What sets of evidence find, on rows that they did not learn from and kinds of attack that they never saw. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.calibration import TailMap
from detectors.envelope import MORE, Kind, envelope, with_wear
from detectors.options import Option, Terms
from detectors.stacking import Scores, Stack
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Trial:
    """Two folds, each learned from and judged on; what was learned is kept."""

    terms: Terms
    folds: tuple[tuple[Scores, Scores], ...]
    known: dict[tuple[tuple[int, ...], int, int], tuple[Stack, list[Array]]] = field(default_factory=dict)

    @staticmethod
    def of(scores: Scores, terms: Terms) -> Trial:
        """Even rows and odd ones."""
        even, odd = (
            _apart(scores, lambda part, k=k: part[k::2])  # type: ignore[misc]
            for k in (0, 1)
        )
        return Trial(terms, ((even, odd), (odd, even)))

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
        gate: tuple[int, ...] = (),
    ) -> Option:
        """What an option finds; see there."""
        terms, pieces = self.terms, free + costly

        def rates(without: int) -> Array:
            folds = [self._rates(pieces, share, gate, fold, without) for fold in range(2)]
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
        return Option(free, costly, share, gate, cost, found, unseen, worn, value)

    def _rates(
        self,
        pieces: tuple[int, ...],
        share: float,
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
            rows = _cascade(self._learned(gate, fold, without)[1], closer, share, kinds)
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


def _cascade(first: Sequence[Array], closer: Sequence[Array], share: float, kinds: int) -> list[Array]:
    """The chain statistic of honest, worn and attacked rows where only the first stage's odd ones are looked at closer.
    Honest and worn rows are the first `kinds` ones.

    As `detectors.calibration.Gate` has it: ties at the bound are left out.
    """
    tail = TailMap.fit(*envelope(Kind(first[0]), [with_wear(part) for part in first[1:kinds]]))
    rows = [tail(part) for part in first]
    bound = np.sort(rows[0])[min(max(round(share * len(rows[0])), 1), len(rows[0]) - 1)]
    asked = [part < bound for part in rows]
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
