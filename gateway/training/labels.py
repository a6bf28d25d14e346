"""What `calibrate` learns of the model's errors, and `serve` loads: nothing where the endpoint takes no `feedback`."""

from __future__ import annotations

import numpy as np

from detectors.base import View
from detectors.drift.design import design
from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from detectors.drift.schedule import Schedule, WindowTooLarge
from gateway.chain import collect
from gateway.config import EndpointConfig
from gateway.errors import BundleError, OperatorError
from gateway.tracking.feedback.accuracy import ERROR, LABEL
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.training.bundle import RETRY, Bundle, Draft
from gateway.training.fitted import FittedChain
from gateway.training.fitting import Part
from gateway.training.passes import chunks
from gateway.training.prepare import Prepared
from models.batch import Array, Batch

FILE = "labels.npz"
_HELD: tuple[Part, ...] = ("rank", "calibrate", "check")
_NO_LABELS = "feedback: held-out rows have no labels to compare with: accuracy is told, and no concept drift"


def fit(name: str, settings: EndpointConfig, prepared: Prepared, fitted: FittedChain, draft: Draft) -> tuple[str, ...]:
    """Writes a monitor of errors and true classes into the draft; what a person should know of it.

    Raises:
        OperatorError: the model has no classes, or there are too few held-out rows for the window.
    """
    asked = settings.feedback
    if asked is None:
        return ()
    if prepared.backend.predict(prepared.read("check").batch.take(slice(0, 1))).logits is None:
        raise OperatorError(f"endpoints.{name}.feedback: the model has no classes that labels could be compared with")
    found = _rows(prepared, fitted)
    if found is None:
        return (_NO_LABELS,)
    try:
        schedule = _schedule(asked)
        schedule.refuse_small_reference(len(found))
        monitor = design(Rows(found, None), schedule, columns=(ERROR, LABEL), seed=settings.seed)
    except WindowTooLarge as error:
        raise OperatorError(f"endpoints.{name}.feedback.window: {error}, or a larger holdout") from error
    except ValueError as error:
        raise OperatorError(f"endpoints.{name}.feedback: {error}") from error
    draft.add_arrays(FILE, monitor.to_arrays())
    return (
        f"feedback: accuracy {1.0 - found[:, 0].mean():.2%} on {len(found)} held-out rows is what labels are held to",
    )


def load(name: str, endpoint: EndpointConfig, bundle: Bundle) -> Monitor | None:
    """The bundle's monitor; None where the endpoint does not ask, or calibrate had no labels.

    Raises:
        BundleError: the bundle was made for another window or rate of false alarms.
    """
    arrays = bundle.arrays(FILE) if endpoint.feedback is not None else {}
    if endpoint.feedback is None or not arrays:
        return None
    monitor = Monitor.from_arrays(arrays)
    if monitor.schedule != _schedule(endpoint.feedback):
        was = f"window was {monitor.schedule.window_rows}, one false alarm in {monitor.schedule.false_alarm_rows}"
        raise BundleError(f"endpoints.{name}.feedback: the config changed since calibrate: {was}; {RETRY}")
    return monitor


def _schedule(asked: FeedbackConfig) -> Schedule:
    return Schedule(asked.window, asked.one_false_alarm_in_labels)


def _rows(prepared: Prepared, fitted: FittedChain) -> Array | None:
    """(n, 2) float64 of held-out rows that the chain allows: whether the model errs, and the true class."""
    found = []
    for part in _HELD:
        if part not in prepared.parts or not len(prepared.parts[part][1]):
            continue
        rows = prepared.read(part)
        if rows.y is None:
            return None
        pieces = chunks(len(rows))
        found += [_erred(prepared, fitted, rows.batch.take(some), rows.y[some]) for some in pieces]
    return np.concatenate(found)


def _erred(prepared: Prepared, fitted: FittedChain, batch: Batch, y: Array) -> Array:
    allowed = np.ones(len(batch), dtype=bool)
    if fitted.stages:
        evidence = collect(tuple(stage.stage for stage in fitted.stages), View(batch, prepared.backend))
        allowed = fitted.policy.decide(evidence.statistic) == 0
    if not allowed.any():
        return np.empty((0, 2))
    logits = prepared.backend.predict(batch.take(np.flatnonzero(allowed))).logits
    assert logits is not None  # it has classes
    found: Array = np.stack([logits.argmax(axis=1) != y[allowed], y[allowed]], axis=1).astype(np.float64)
    return found
