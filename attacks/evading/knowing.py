"""From a calibrated chain, told in plain values, to what the attack looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from attacks.evading.matching import Guides, values_of
from attacks.evading.scene import Judge, Known, Scene, Watcher
from attacks.evidence import NoTwin, Twin, twin_of
from attacks.feasible import UNIT
from attacks.losses import margin
from attacks.making import Targets
from attacks.passes import Passes
from detectors.base import Detector, View
from detectors.combiner import Combiner
from models.batch import Array, Batch

Epsilon = float | Tensor
# Rows as they are sent, to the model's logits (n, classes) and to how far the evidence is beyond the cut (n,).
Ask = Callable[[Batch], tuple[Array, Array]]

LEAK = 0.003  # of the slope of capped evidence: less finds the way out of a cap too late, more is led astray by it
_USUAL = 0.75  # of honest rows score less: where each piece of evidence is brought to, one by one


@dataclass(frozen=True, slots=True)
class Told:
    """A stage: it alone makes the chain flag from the score `limit` on, and wakes the gated ones from `wakes` on."""

    name: str
    detector: Detector
    limit: float
    wakes: float | None = None
    gated: bool = False


def known(stages: Sequence[Told], honest: View) -> Known:
    """What these stages are to an attacker; `honest` rows tell the usual scores."""
    found: dict[str, list[Watcher]] = {"always": [], "gated": [], "waking": [], "pieces": []}
    blind = []
    for stage in stages:
        combines = isinstance(stage.detector, Combiner)
        if isinstance(stage.detector, Combiner):
            found["pieces"] += _pieces(stage.detector, honest)
        twin = _twin(stage.detector)
        if twin is None:
            blind.append(stage.name)
            continue
        spread = max(float(stage.detector.score(honest).std()), 1e-3 * min(abs(stage.limit), 1e6), 1e-3)
        watcher = Watcher(twin, stage.limit, spread)
        found["gated" if stage.gated else "always"].append(watcher)
        if not combines:
            found["pieces"].append(watcher)
        if stage.wakes is not None:
            found["waking"].append(Watcher(twin, stage.wakes, spread))
    return Known(**{name: tuple(watchers) for name, watchers in found.items()}, blind=tuple(blind))


def _pieces(combiner: Combiner, honest: View) -> Iterator[Watcher]:
    """Each piece at the ends of its score that make a row odd, with the usual score as its limit."""
    for piece in combiner.pieces:
        twin = _twin(piece.detector) if piece.moves else None
        if twin is None:
            continue
        scores, least = piece.detector.score(honest), float(piece.logit.min())
        scale = max(float(scores.std()), 1e-6)
        if piece.logit[-1] > least:
            yield Watcher(twin, float(np.quantile(scores, _USUAL)), scale)
        if piece.logit[0] > least:
            yield Watcher(_turned(twin), -float(np.quantile(scores, 1.0 - _USUAL)), scale)


def _twin(detector: Detector) -> Twin | None:
    try:
        return twin_of(detector, leak=LEAK)
    except NoTwin:
        return None


def _turned(twin: Twin) -> Twin:
    return lambda passes: -twin(passes)


def scene(targets: Targets, seen: Known, epsilon: Epsilon, usual: tuple[Array, Array] | None) -> Scene:
    """The rows to attack; `usual` is the range (*row shape) of values that no contract objects to."""
    feasible, batch = targets.feasible, targets.batch

    def look(rows: Tensor, which: Tensor) -> Passes:
        part = batch.take(which.numpy())
        return Passes(feasible.seen(part.x)(rows), targets.network, part.extras)

    inside = None if usual is None else (_to_unit(targets, usual[0]), _to_unit(targets, usual[1]))
    return Scene.of(
        look, targets.x, targets.y, seen, epsilon=epsilon, bounds=UNIT, inside=inside, step=feasible.even_step
    )


def judge(targets: Targets, ask: Ask) -> Judge:
    """The chain itself."""

    def found(rows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        part = targets.batch.take(which.numpy())
        logits, excess = ask(part.with_x(targets.feasible.from_unit(rows, part.x)))
        return margin(torch.tensor(logits), targets.y[which]), torch.tensor(excess)

    return found


def guides(targets: Targets, honest: Batch) -> Guides:
    """Honest rows that pass the chain."""
    rows = targets.feasible.to_unit(honest.x)
    with torch.no_grad():
        outputs = Passes(targets.feasible.seen(honest.x)(rows), targets.network, honest.extras).outputs
        return Guides(rows, values_of(outputs), outputs.logits.argmax(dim=1))


def _to_unit(targets: Targets, ends: Array) -> Tensor:
    feasible = targets.feasible
    width = torch.where(feasible.high > feasible.low, feasible.high - feasible.low, 1.0)
    found = (torch.tensor(np.asarray(ends, dtype=np.float64)) - feasible.low) / width
    return torch.nan_to_num(found, nan=0.0, posinf=2.0, neginf=-1.0).clamp(-1.0, 2.0)
