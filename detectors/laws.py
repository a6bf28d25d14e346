"""What every detector must satisfy, ours or not: run `check_detector` in a test of your own method."""

from __future__ import annotations

import numpy as np

from defenses.laws import LawBroken, check_round_trip, require, same_arrays, state_of, through_file
from detectors.base import Detector, DetectorSpec, Reference, Unsuitable, View
from models.backend import ModelBackend
from models.batch import Array, Batch

__all__ = ["TOLERANCE", "LawBroken", "check_detector", "refuse_lawless"]

TOLERANCE = 1e-3  # between a row's scores in different company, of the score's size or of the scores' spread
_ALONE = 8  # rows that are also scored alone
_TRIED = 64  # reference rows that somebody else's detector is tried on


def check_detector(spec: DetectorSpec, reference: Reference, rows: Batch, adversarial: Batch | None = None) -> None:
    """Fits on the reference, scores honest `rows` (4 or more) and, if given, adversarial ones, through its backend.

    Raises:
        LawBroken: a law does not hold.
        Unsuitable: the method can't work on this model or input at all.
    """
    who, backend = spec.kind, reference.view.backend
    check_round_trip(spec)
    spec.refuse_unsuitable(reference.spec, reference.view.outputs)
    arrays = spec.fit(reference)
    detector = spec.build(through_file(arrays, who), reference.spec)
    require(same_arrays(arrays, spec.fit(reference)), who, "fitting twice on the same rows must learn the same")
    require(all(isinstance(n, str) for n in spec.notes(arrays, reference.spec)), who, "notes must be lines of text")
    scores = _check_built(who, detector, rows, backend, adversarial)
    require(detector.score(View(rows.take(slice(0, 0)), backend)).shape == (0,), who, "no rows must give no scores")
    if adversarial is not None:
        found = _check_scores(who, detector, adversarial, backend)
        above = (found[:, None] > scores).mean() + 0.5 * (found[:, None] == scores).mean()
        law = "adversarial rows must score above honest ones on average"
        require(above > 0.5, who, f"{law}; they do in {above:.0%} of pairs")


def refuse_lawless(who: str, detector: Detector, reference: Reference) -> None:
    """Tries a fitted detector that isn't ours on some reference rows: what is not a function of a row alone is refused.

    It need not stand a batch without rows: no chain asks it to score one.

    Raises:
        Unsuitable: a law does not hold; the text says which.
    """
    n = len(reference.view)
    picked = np.sort(np.random.default_rng(reference.seed).permutation(n)[:_TRIED])
    try:
        _check_built(who, detector, reference.view.batch.take(picked), reference.view.backend, None)
    except LawBroken as broken:
        raise Unsuitable(f"breaks a law that every detector must keep: {broken}") from None


def _check_built(who: str, detector: Detector, rows: Batch, backend: ModelBackend, adversarial: Batch | None) -> Array:
    """All laws but that of fitting; the scores of the honest rows."""
    require(isinstance(detector, Detector) and detector.name, who, "needs a `name` and a `score`")
    scores = _check_scores(who, detector, rows, backend)
    _check_company(who, detector, rows, adversarial, backend, scores)
    _check_state(who, detector, rows, backend)
    return scores


def _check_scores(who: str, detector: Detector, rows: Batch, backend: ModelBackend) -> Array:
    scores = detector.score(View(rows, backend))
    require(isinstance(scores, np.ndarray), who, "must return an array")
    require(scores.shape == (len(rows),), who, f"must return one score a row, ({len(rows)},), not {scores.shape}")
    require(scores.dtype == np.float32, who, f"scores must be float32, not {scores.dtype}")
    require(np.isfinite(scores).all(), who, "scores must be finite")
    again = detector.score(View(rows, backend))
    require(np.array_equal(scores, again), who, "must score the same rows the same way twice")
    return scores


def _check_company(
    who: str, detector: Detector, rows: Batch, adversarial: Batch | None, backend: ModelBackend, scores: Array
) -> None:
    """Alone, in another order, in a flood of copies of one row, and among adversarial rows."""
    order = np.arange(len(rows))[::-1]
    flood = Batch.concat([rows, *[rows.take(slice(0, 1))] * len(rows)])
    trials = [
        ("in another order", detector.score(View(rows.take(order), backend))[order]),
        ("in a flood of one row", detector.score(View(flood, backend))[: len(rows)]),
        ("as part of a larger view", detector.score(View(flood, backend).take(np.arange(len(rows))))),
    ]
    for row in range(min(len(rows), _ALONE)):
        alone = scores.copy()
        alone[row] = detector.score(View(rows.take(slice(row, row + 1)), backend))[0]
        trials.append(("alone", alone))
    if adversarial is not None:
        mixed = Batch.concat([adversarial, rows])
        trials.append(("among adversarial rows", detector.score(View(mixed, backend))[len(adversarial) :]))
    allowed = TOLERANCE * np.maximum(np.abs(scores), float(np.std(scores)))
    for company, found in trials:
        gap = np.abs(found.astype(np.float64) - scores)
        law = f"a row must score the same {company}"
        require((gap <= allowed).all(), who, f"{law}; one moved by {gap.max():.3g}")


def _check_state(who: str, detector: Detector, rows: Batch, backend: ModelBackend) -> None:
    view = View(rows, backend)
    outputs, x = state_of(view.outputs), view.x.copy()
    state = state_of(detector)
    detector.score(view)
    require(state_of(detector) == state, who, "must not change when it scores")
    require(state_of(view.outputs) == outputs, who, "must not write to the model's outputs")
    require(np.array_equal(view.x, x, equal_nan=x.dtype.kind == "f"), who, "must not write to the rows it is given")
