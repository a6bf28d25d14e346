"""The strongest attack here on a chain that is known in full: several attacks in turn, the best of each row kept.

Threat model: white box on the model, every detector, tail map, gate and cut. Rows stay within epsilon of their own in
Linf, inside the input's bounds and on its grid. A row is won where the model is wrong and the chain neither flags nor
rejects it. What one attack has won the next ones leave alone, so that effort goes where it is needed; a figure from
one kind of attack alone says little (Carlini et al.: On Evaluating Adversarial Robustness, 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.evading.best import Best
from attacks.evading.descending import Plan, descend
from attacks.evading.matching import Guides, match
from attacks.evading.scene import Aim, Judge, Scene
from attacks.evading.searching import search
from attacks.pgd import uniform_start
from models.batch import Bounds

_EVERYWHERE = Bounds(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Effort:
    """`steps` of each descent, how many `descents` of those below, `guides` that each row is matched to in turn,
    `rounds` of the search on the grid.
    """

    steps: int = 200
    descents: int = 7
    guides: int = 2
    rounds: int = 150


@dataclass(frozen=True, slots=True)
class Evaded:
    """The rows (n, ...), which of them evade, and which attack each was won by ("" for none)."""

    rows: Tensor
    evades: Tensor
    by: tuple[str, ...]


def evade(
    scene: Scene,
    *,
    seed: int,
    effort: Effort,
    judge: Judge | None = None,
    starts: Sequence[tuple[str, Tensor]] = (),
    guides: Guides | None = None,
    finest: float = 0.0,
) -> Evaded:
    """Tries everything on every row that is not won yet.

    `judge` is the chain itself, where there is one to ask, else what is known of it. `starts` are rows (n, ...) by what
    made them, all counted if they evade as they are, and refined. `finest` is the grid's step.
    """
    best = Best.start(scene.clean, judge or scene.judge)
    by = [""] * len(scene.clean)
    for name, rows in starts:
        everyone = torch.arange(len(rows))
        _take(best, by, name, scene.inside(rows, everyone), everyone)
    everyone = best.left
    plain = descend(scene, scene.clean[everyone], everyone, Plan(effort.steps, Aim(blind=True), steps_by="sign"))
    _take(best, by, "undefended", plain, everyone)
    best.give_up()
    for name, plan, start in _descents(scene, best, seed, effort.steps)[: effort.descents]:
        which = best.left
        if len(which) == 0:
            break
        found = descend(scene, start()[which], which, plan)
        _take(best, by, name, found, which)
        _take(best, by, f"{name}, own values", scene.inside(own_values(scene.clean[which], found), which), which)
    if guides is not None and len(guides.rows):
        for turn in range(effort.guides):
            _matched(scene, best, by, guides, turn, effort.steps)
    for size in (0.05, 0.02) if effort.rounds else ():
        which = best.left
        plan = Plan(effort.steps // 2, Aim(), size=size)
        _take(best, by, "refining", descend(scene, best.rows[which], which, plan), which)
    before = best.badness < 0.0
    search(scene, best, rounds=effort.rounds, seed=seed, finest=finest)
    won = best.badness < 0.0
    for row in torch.nonzero(won & ~before)[:, 0].tolist():
        by[row] = "search on the grid"
    return Evaded(best.rows, won, tuple(by))


def own_values(clean: Tensor, rows: Tensor) -> Tensor:
    """The rows with every value moved to the nearest that the clean row has somewhere.

    How many values a row has, and which, has no slope; a picture made of its own grays shows none that are new.
    """
    found = []
    for own, row in zip(clean, rows, strict=True):
        levels = own.unique()
        at = torch.searchsorted(levels, row.contiguous()).clamp(1, max(len(levels) - 1, 1))
        left, right = levels[at - 1], levels[at.clamp(max=len(levels) - 1)]
        found.append(torch.where(row - left < right - row, left, right))
    return torch.stack(found) if found else rows


def _descents(scene: Scene, best: Best, seed: int, steps: int) -> list[tuple[str, Plan, Callable[[], Tensor]]]:
    """What each is called, how it goes, and the rows it starts from; what mostly wins comes first."""
    clean, everyone = scene.clean, torch.arange(len(scene.clean))
    with torch.no_grad():
        logits = scene.look(clean, everyone).outputs.logits
    runner_up = logits.scatter(1, scene.y[:, None], -torch.inf).argmax(dim=1)
    drawn = scene.inside(uniform_start(clean, scene.room, _EVERYWHERE, seed), everyone)
    return [
        ("asleep", Plan(steps, Aim(asleep=True)), lambda: clean),
        ("pieces, textured", Plan(steps, Aim(asleep=True, apart=True), textured=True), lambda: clean),
        ("stages", Plan(steps, Aim(), textured=True), lambda: clean),
        ("in turn", Plan(steps, Aim(), turns=True, steps_by="sign"), lambda: clean),
        ("towards a class", Plan(steps, Aim(runner_up, apart=True), textured=True), lambda: clean),
        ("towards a class, asleep", Plan(steps, Aim(runner_up, asleep=True, apart=True)), lambda: best.rows),
        ("in turn, drawn", Plan(steps, Aim(apart=True), turns=True, steps_by="sign"), lambda: drawn),
    ]


def _matched(scene: Scene, best: Best, by: list[str], guides: Guides, turn: int, steps: int) -> None:
    """From what a box holds of an honest row of another class, and from there on to what the model makes of it."""
    which = best.left
    if len(which) == 0:
        return
    picked = guides.near(scene, which, turn)
    start = scene.inside(guides.rows[picked], which)
    _take(best, by, "another class's row", start, which)
    matched = match(scene, start, which, guides, picked, steps // 2)
    _take(best, by, "matching", matched, which)
    aim = Aim(_spread(guides.classes[picked], which, scene), asleep=turn % 2 == 0, apart=True)
    plan = Plan(steps, aim, size=0.05)
    left = best.badness[which] >= 0.0
    _take(best, by, "matching, refined", descend(scene, matched[left], which[left], plan), which[left])


def _spread(classes: Tensor, which: Tensor, scene: Scene) -> Tensor:
    """A class for every row of the scene."""
    targets = scene.y.clone()
    targets[which] = classes
    return targets


def _take(best: Best, by: list[str], name: str, rows: Tensor, which: Tensor) -> None:
    if len(which) == 0:
        return
    before = best.badness[which] < 0.0
    best.offer(rows, which)
    for row in which[(best.badness[which] < 0.0) & ~before].tolist():
        by[row] = name
