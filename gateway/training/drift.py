"""What `calibrate` learns of rows without drift, and `serve` loads: nothing where the endpoint has no `drift`."""

from __future__ import annotations

from collections.abc import Iterator

from detectors.base import View
from detectors.drift.design import design
from detectors.drift.encoder import Rows
from detectors.drift.monitor import Monitor
from detectors.drift.projection import Projection
from detectors.drift.schedule import Schedule, WindowTooLarge
from gateway.chain import collect
from gateway.config import EndpointConfig
from gateway.errors import BundleError, OperatorError
from gateway.tracking.drift.config import DriftConfig
from gateway.tracking.drift.rows import tracked
from gateway.training.bundle import RETRY, Bundle, Draft
from gateway.training.fitted import FittedChain
from gateway.training.fitting import Part
from gateway.training.passes import Chunked, chunks
from gateway.training.prepare import Prepared
from models.batch import Batch

FILE = "drift.npz"
_PROJECTED_ROWS = 4000  # reference rows whose features the components are fitted on
_HELD: tuple[Part, ...] = ("rank", "calibrate", "check")  # a combiner knows train rows as honest


def fit(name: str, settings: EndpointConfig, prepared: Prepared, fitted: FittedChain, draft: Draft) -> tuple[str, ...]:
    """Writes a monitor of the held-out rows into the draft; what a person should know of it.

    Raises:
        OperatorError: there is nothing to track, or too few rows for the window.
    """
    asked = settings.drift
    if asked is None:
        return ()
    spec = prepared.backend.spec
    reference = _held_out(prepared, fitted)
    try:
        schedule = _schedule(asked)
        schedule.refuse_small_reference(len(reference))
        projection = None if spec.kind == "table" else _projection(prepared)
        monitor = design(reference, schedule, projection=projection, columns=spec.columns, seed=settings.seed)
    except WindowTooLarge as error:
        raise OperatorError(f"endpoints.{name}.drift.window: {error}, or a larger holdout") from error
    except ValueError as error:
        raise OperatorError(f"endpoints.{name}.drift: {error}") from error
    draft.add_arrays(FILE, monitor.to_arrays())
    told = f"drift: {len(monitor.names) - 1} series tracked against {len(reference)} held-out rows"
    if settings.holdout is None:
        told += "; where the model was trained on them, rows to come will look like drift"
    return (told,)


def load(name: str, endpoint: EndpointConfig, bundle: Bundle) -> Monitor | None:
    """The bundle's monitor; None where the endpoint does not ask for one.

    Raises:
        BundleError: the bundle was made without `drift`, or for another window or rate of false alarms.
    """
    if endpoint.drift is None:
        return None
    arrays = bundle.arrays(FILE)
    if not arrays:
        raise BundleError(f"endpoints.{name}.drift: the bundle knows nothing of rows without drift; {RETRY}")
    monitor = Monitor.from_arrays(arrays)
    if monitor.schedule != _schedule(endpoint.drift):
        raise BundleError(f"endpoints.{name}.drift: the config changed since calibrate: {_made_for(monitor)}; {RETRY}")
    return monitor


def _schedule(asked: DriftConfig) -> Schedule:
    return Schedule(asked.window, asked.one_false_alarm_in_rows)


def _made_for(monitor: Monitor) -> str:
    schedule = monitor.schedule
    return f"window was {schedule.window_rows}, one_false_alarm_in_rows {schedule.false_alarm_rows}"


def _held_out(prepared: Prepared, fitted: FittedChain) -> Rows:
    """Held-out rows, as they will be tracked: nothing was fitted on them, nor should the model have been."""
    parts = [part for part in _HELD if part in prepared.parts and len(prepared.parts[part][1])]
    found = [_judged(prepared, fitted, rows) for part in parts for rows in _pieces(prepared.read(part).batch)]
    return Rows.concat(found)


def _pieces(batch: Batch) -> Iterator[Batch]:
    return (batch.take(rows) for rows in chunks(len(batch)))


def _judged(prepared: Prepared, fitted: FittedChain, batch: Batch) -> Rows:
    """Rows that are refused for certain never reach the model: their outputs are zeros, and not looked at."""
    stages = tuple(stage.stage for stage in fitted.stages)
    evidence = collect(stages, View(batch, prepared.backend))
    outputs = evidence.live.outputs if len(evidence.live) else prepared.backend.predict(batch.take(slice(0, 0)))
    if len(evidence.live) < len(batch):
        outputs = outputs.spread(evidence.rows)
    flagged = fitted.policy.decide(evidence.statistic) > 0 if stages else None
    return tracked(batch.x, outputs, prepared.backend.spec, flagged)


def _projection(prepared: Prepared) -> Projection | None:
    """Of the reference's features: fitted on rows that the monitor is not; None for a model without features."""
    batch = prepared.read("reference").batch.take(slice(0, _PROJECTED_ROWS))
    features = Chunked(prepared.backend).predict(batch).features
    return None if features is None else Projection.fit(features)
