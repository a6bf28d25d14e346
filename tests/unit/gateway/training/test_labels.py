"""What calibrate learns of the model's errors."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.errors import BundleError, OperatorError
from gateway.tracking.feedback.accuracy import ERROR, LABEL, errors
from gateway.training.calibrate import calibrate
from gateway.training.labels import FILE
from gateway.training.loading import load_endpoint
from tests.project import Project

FEEDBACK = {"window": 200, "one_false_alarm_in_labels": 2000}


def test_a_bundle_knows_how_often_the_model_errs(project: Project) -> None:
    config = project.config(feedback=FEEDBACK, chain=[{"kind": "mahalanobis"}])
    report = calibrate(config, "digits")
    assert any(note.startswith("feedback: accuracy 9") for note in report.notes)
    monitor = load_endpoint(config, "digits").errors
    assert monitor is not None
    assert monitor.names == (ERROR, LABEL, "joint")
    rows, wrong = errors(monitor, monitor.baseline.sums.counts)
    assert rows > 400
    assert 0 < wrong < 0.1 * rows


def test_without_labels_there_is_no_monitor(project: Project) -> None:
    with np.load(project.folder / "test.npz") as file:
        np.savez(project.folder / "bare.npz", x=file["x"])
    config = project.config(feedback=FEEDBACK, chain=[], holdout=project.folder / "bare.npz")
    assert any("held-out rows have no labels" in note for note in calibrate(config, "digits").notes)
    assert not (project.folder / "bundle" / "digits" / FILE).exists()
    assert load_endpoint(config, "digits").errors is None


def test_another_window_needs_another_bundle(project: Project) -> None:
    calibrate(project.config(chain=[], feedback=FEEDBACK), "digits")
    with pytest.raises(BundleError, match=r"digits\.feedback: the config changed since calibrate: window was 200"):
        load_endpoint(project.config(chain=[], feedback={**FEEDBACK, "window": 250}), "digits")
    assert load_endpoint(project.config(chain=[], feedback={**FEEDBACK, "keep_hours": 2}), "digits").errors is not None
    with pytest.raises(OperatorError, match=r"^endpoints\.digits\.feedback\.window: a window of 2000 rows needs 4000"):
        calibrate(project.config(chain=[], feedback={"window": 2000}), "digits")
