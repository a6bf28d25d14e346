"""What an attack that knows the chain looks at: rows in their boxes, the model's answer, and the evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attacks.evidence import Twin
from attacks.losses import margin
from attacks.passes import Passes
from attacks.pgd import in_ball
from models.batch import Bounds

Look = Callable[[Tensor, Tensor], Passes]  # rows of unit space, and which of all rows each is, to what the chain sees
# The same to the margin of the wrong class and to the evidence beyond the cut, (m,) each: past if > 0 and <= 0.
Judge = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

CONFIDENCE = 1.0  # in logits: beyond it a row is fooled enough
_SLACK = 0.05  # of a watcher's scale: below its limit by that, a row is safe enough


@dataclass(frozen=True, slots=True)
class Watcher:
    """A detector's twin; rows that score `limit` or more are found. `scale` is how far honest scores spread."""

    score: Twin
    limit: float
    scale: float


@dataclass(frozen=True, slots=True)
class Known:
    """A chain's evidence. `always` looks at every row; `gated` only at rows that one of `waking` finds odd enough,
    which are the watchers of `always` with lower limits. `pieces` is what the combiners among them add up.

    `blind` names stages whose evidence has no gradient: only a judge sees them.
    """

    always: tuple[Watcher, ...]
    gated: tuple[Watcher, ...] = ()
    waking: tuple[Watcher, ...] = ()
    pieces: tuple[Watcher, ...] = ()
    blind: tuple[str, ...] = ()

    def against(self, scores: Scores) -> Tensor:
        """(n,) how far the evidence is beyond the cut, in the watchers' scales: flagged from 0 on."""
        worst = _worst(self.always, scores)
        if not self.gated:
            return worst
        asked = torch.minimum(_worst(self.gated, scores), _worst(self.waking, scores))
        return torch.maximum(worst, asked)


@dataclass(frozen=True, slots=True)
class Aim:
    """What one descent is after: the class `target` (n,) instead of any other; and what it goes down.

    `asleep`: to stay so plain that the gated stages never look; else past all of them. `apart`: every piece of evidence
    by itself, to where it is usual, instead of what they add up to. `blind`: no evidence at all.
    """

    target: Tensor | None = None
    asleep: bool = False
    apart: bool = False
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Rows `clean` (n, ...) with their classes `y` (n,), each free to move from `low` to `high`, (n, ...)."""

    look: Look
    clean: Tensor
    y: Tensor
    known: Known
    low: Tensor
    high: Tensor
    room: Tensor = field(init=False)  # (n, 1, ...) how far a row's values may move, at most

    def __post_init__(self) -> None:
        reach = torch.maximum(self.high - self.clean, self.clean - self.low)
        object.__setattr__(self, "room", each(reach.flatten(1).amax(dim=1), self.clean))

    @staticmethod
    def of(
        look: Look,
        clean: Tensor,
        y: Tensor,
        known: Known,
        *,
        epsilon: float | Tensor,
        bounds: Bounds,
        inside: tuple[Tensor, Tensor] | None = None,
        step: float | None = None,
    ) -> Scene:
        """Rows within `epsilon` of the clean ones in Linf. `inside` (low, high) is where values are usual, if that is
        known to be checked: values that may not leave it need no gradient to stay there. The ends of the boxes lie on
        the grid of that `step`, so that rounding leads out of none.
        """
        low, high = in_ball(clean - 2.0, clean, epsilon, bounds), in_ball(clean + 2.0, clean, epsilon, bounds)
        if inside is not None:
            low = torch.maximum(low, torch.minimum(inside[0].to(low.dtype), clean))
            high = torch.minimum(high, torch.maximum(inside[1].to(low.dtype), clean))
        if step:
            low = torch.minimum((low / step - 1e-3).ceil() * step, clean)
            high = torch.maximum((high / step + 1e-3).floor() * step, clean)
        return Scene(look, clean.detach(), y, known, low, high)

    def inside(self, rows: Tensor, which: Tensor) -> Tensor:
        """The rows moved into their boxes."""
        return torch.minimum(torch.maximum(rows, self.low[which]), self.high[which])

    def judge(self, rows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """By the watchers alone, as a `Judge`."""
        with torch.no_grad():
            passes = self.look(rows, which)
            gap = margin(passes.outputs.logits, self.y[which])
            return gap, self.known.against(Scores(passes)).to(gap.dtype)

    def seen(self, rows: Tensor, which: Tensor, aim: Aim) -> Seen:
        """Where rows stand and the slopes to follow."""
        leaf = rows.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            passes = self.look(leaf, which)
            logits = passes.outputs.logits
            gap = margin(logits, self.y[which])
            goal = gap if aim.target is None else -margin(logits, aim.target[which])
            (up,) = torch.autograd.grad(goal.clamp(max=CONFIDENCE).sum(), leaf, retain_graph=True)
            scores = Scores(passes)
            evidence = self._evidence(scores, aim)
            down = None
            if evidence.requires_grad:
                (down,) = torch.autograd.grad(-evidence.sum(), leaf, allow_unused=True)
            with torch.no_grad():
                excess = self.known.against(scores).to(gap.dtype)
        down = torch.zeros_like(up) if down is None else down
        return Seen(gap.detach(), goal.detach(), excess, torch.nan_to_num(up), torch.nan_to_num(down))

    def _evidence(self, scores: Scores, aim: Aim) -> Tensor:
        """(n,) the sum of what is beyond the limits. Its logarithms: a piece far out does not drown the rest."""
        known = self.known
        stages = known.waking if aim.asleep and known.gated else (*known.always, *known.gated)
        watchers = known.pieces if aim.apart and known.pieces else stages
        watchers = () if aim.blind else watchers
        above = [(scores.excess(watcher) + _SLACK).clamp(min=0.0).log1p() for watcher in watchers]
        return torch.stack(above, dim=1).sum(dim=1) if above else scores.passes.x.new_zeros(len(scores.passes.x))


@dataclass(slots=True)
class Seen:
    """Of each row: the margin of the wrong class, that of the goal, the evidence above the cut, and the slopes."""

    gap: Tensor
    goal: Tensor
    excess: Tensor
    up: Tensor
    down: Tensor


def badness(gap: Tensor, excess: Tensor) -> Tensor:
    """How far rows are from both goals; below 0 they evade, the lower the safer."""
    evades = (gap > 0.0) & (excess <= 0.0)
    return torch.where(evades, excess.clamp(min=-1.0) - 1e-6, (-gap).clamp(min=0.0) * 10.0 + excess.clamp(min=0.0))


def each(values: Tensor, rows: Tensor) -> Tensor:
    """(n,) as (n, 1, ...), to go with rows."""
    return values.reshape(-1, *[1] * (rows.ndim - 1))


class Scores:
    """What twins say of one pass, each asked once."""

    def __init__(self, passes: Passes) -> None:
        self.passes = passes
        self._known: dict[Twin, Tensor] = {}

    def excess(self, watcher: Watcher) -> Tensor:
        """(n,) beyond the watcher's limit, in its scale."""
        if watcher.score not in self._known:
            self._known[watcher.score] = watcher.score(self.passes).double()
        return (self._known[watcher.score] - watcher.limit) / watcher.scale


def _worst(watchers: Sequence[Watcher], scores: Scores) -> Tensor:
    if not watchers:
        return torch.full((len(scores.passes.x),), -1.0, dtype=torch.float64)
    return torch.stack([scores.excess(watcher).detach() for watcher in watchers], dim=1).amax(dim=1)
