"""What calibrate learns of rows without drift, and what serve makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.drift.monitor import Monitor
from gateway.endpoint import Endpoint
from gateway.errors import BundleError, OperatorError
from gateway.tracking.drift.config import DriftConfig
from gateway.tracking.drift.rows import tracked
from gateway.training.calibrate import calibrate
from gateway.training.drift import FILE
from gateway.training.loading import load_endpoints
from models.batch import Array, Batch
from tests.project import Project

DRIFT = {"window": 200, "one_false_alarm_in_rows": 2000}


def alarms(endpoint: Endpoint, monitor: Monitor, x: Array) -> list[str]:
    judged = endpoint.chain.run(Batch(x))
    assert judged.outputs is not None
    flagged = np.array([verdict.action != 0 for verdict in judged.verdicts])
    rows = tracked(x, judged.outputs, endpoint.chain.backend.spec, flagged)
    return [reading.series for reading in monitor.fold(monitor.start(), 0, monitor.encoder.sums(rows)).started]


def test_a_bundle_has_a_monitor_where_one_is_asked_for(project: Project) -> None:
    config = project.config(drift=DRIFT)
    report = calibrate(config, "digits")
    assert any(note.startswith("drift: ") and "series tracked against" in note for note in report.notes)
    endpoint = load_endpoints(config)["digits"]
    monitor = endpoint.monitor
    assert monitor is not None
    assert monitor.names[-5:] == ("class", "confidence", "energy", "flagged", "joint")
    assert monitor.names[0] == "component 1"
    with np.load(project.folder / "test.npz") as file:
        x = file["x"][:200]
    assert alarms(endpoint, monitor, x) == []
    assert alarms(endpoint, monitor, np.ascontiguousarray(x[..., ::-1]))


def test_how_often_buckets_close_changes_without_a_new_bundle_and_the_window_does_not(project: Project) -> None:
    calibrate(project.config(chain=[], drift=DRIFT), "digits")
    assert load_endpoints(project.config(chain=[], drift={**DRIFT, "every": "5m"}))["digits"].monitor is not None
    with pytest.raises(BundleError, match=r"digits\.drift: the config changed since calibrate: window was 200"):
        load_endpoints(project.config(chain=[], drift={**DRIFT, "window": 250}))


def test_none_is_asked_for(project: Project) -> None:
    calibrate(project.config(chain=[]), "digits")
    assert not (project.folder / "bundle" / "digits" / FILE).exists()
    assert load_endpoints(project.config(chain=[]))["digits"].monitor is None


def test_a_window_too_large_is_refused_with_one_that_would_do(project: Project) -> None:
    says = r"^endpoints\.digits\.drift\.window: a window of 2000 rows needs 4000 reference rows, found \d+: .* would do"
    with pytest.raises(OperatorError, match=says):
        calibrate(project.config(chain=[], drift={}), "digits")


def test_more_alarms_than_windows_are_refused(project: Project) -> None:
    with pytest.raises(OperatorError, match=r"^endpoints\.digits\.drift: one false alarm in 100 rows: expected at le"):
        calibrate(project.config(chain=[], drift={"window": 200, "one_false_alarm_in_rows": 100}), "digits")


@pytest.mark.parametrize(("stated", "seconds"), [("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), (7, 7.0)])
def test_times_have_units(stated: object, seconds: float) -> None:
    assert DriftConfig.model_validate({"every": stated}).every == seconds


@pytest.mark.parametrize("stated", ["soon", "5 days", "0s", 0.5])
def test_other_times_are_refused(stated: object) -> None:
    with pytest.raises(ValidationError):
        DriftConfig.model_validate({"every": stated})
