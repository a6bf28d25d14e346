"""Every piece of evidence that works here, with its scores of the examples and what it costs a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from detectors.base import Detector, Unsuitable, View
from detectors.candidates import everything, title
from detectors.evidence import EvidenceSpec
from detectors.remembering import RememberingReference, fitted
from gateway.training.passes import Progress
from models.batch import Array

HONEST, WORN = "honest", "worn:"  # and the kind of wear
_TIMED_ROWS, _REPEATS = 64, 5
_FREE_US = 100.0  # a row, of a detector's own time: as good as nothing on any network
_FREE_PASSES = 1.5  # or of the model's own: `cost` counts forward passes, and on all but small models this is little


@dataclass(frozen=True, slots=True)
class Tried:
    """`cost` is in forward passes a row; `scores` (n,) are of each kind of rows by name."""

    piece: EvidenceSpec
    cost: float
    scores: dict[str, Array]

    @property
    def title(self) -> str:
        """Its name among others of its kind."""
        return title(self.piece)


def tried(
    reference: RememberingReference,
    views: Mapping[str, View],
    progress: Progress,
    pieces: Sequence[EvidenceSpec] | None = None,
) -> list[Tried]:
    """All evidence, or these pieces, as far as it suits the model and the data, fitted on the reference.

    Where time is short, what would have a network trained is not tried.
    """
    if pieces is None:
        pieces = [piece for piece in everything(reference.spec) if not (reference.effort.quick and _trains(piece))]
    found = []
    timed = views[HONEST].take(np.arange(min(len(views[HONEST]), _TIMED_ROWS)))
    pass_us = _pass_us(timed)
    for index, piece in enumerate(pieces):
        progress(f"try {title(piece)}", index, len(pieces))
        try:
            detector = piece.build(fitted(piece, reference), reference.spec)
        except (Unsuitable, ValueError):
            continue
        scores = {name: np.asarray(detector.score(view), dtype=np.float64) for name, view in views.items()}
        if all(np.isfinite(part).all() for part in scores.values()) and np.ptp(scores[HONEST]) > 0.0:
            found.append(Tried(piece, piece.cost or _own_cost(detector, timed, pass_us), scores))
    progress("try", len(pieces), len(pieces))
    return found


def _trains(piece: EvidenceSpec) -> bool:
    return "steps" in type(piece).model_fields


def _pass_us(view: View) -> float:
    """The model's time for a row, microseconds."""
    return _best_us(lambda: view.rerun(view.x), len(view))


def _own_cost(detector: Detector, view: View, pass_us: float) -> float:
    """The detector's own time in forward passes, in halves; 0 where it is hardly felt."""
    view.outputs  # noqa: B018 - not the detector's own time
    everyone = np.arange(len(view))
    own_us = _best_us(lambda: detector.score(view.take(everyone)), len(view))
    if own_us <= max(_FREE_US, _FREE_PASSES * pass_us):
        return 0.0
    return float(np.ceil(2.0 * own_us / pass_us) / 2.0)


def _best_us(work: Callable[[], object], rows: int) -> float:
    best = np.inf
    with threadpool_limits(1):  # as when serving
        for _ in range(_REPEATS):
            started = time.process_time()  # not by the clock: other work on the machine makes nothing costly
            work()
            best = min(best, time.process_time() - started)
    return float(best * 1e6 / rows)
