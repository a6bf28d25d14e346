"""The model as detectors are trained through it, and what `--quick` reaches."""

from __future__ import annotations

from gateway.training.calibrate import calibrate
from gateway.training.learning import Learning
from tests.project import Project

SMALL = {"steps": 40, "width": 4, "depth": 1}


def test_an_autoencoder_is_trained_through_the_model_and_calibrated(project: Project) -> None:
    chain = [{"kind": "adversarial_autoencoder", **SMALL}]
    report = calibrate(project.config(chain=chain), "digits")
    assert [stage.kind for stage in report.stages] == ["adversarial_autoencoder"]
    assert report.measured.passes == 2.0


def test_quick_reaches_detectors_and_purifiers(project: Project) -> None:
    config = project.config(
        chain=[{"kind": "reconstruction", **SMALL}], purify=[{"kind": "denoising_autoencoder", **SMALL}]
    )
    told: list[tuple[str, int, int]] = []
    calibrate(config, "digits", progress=lambda *news: told.append(news), learning=Learning(quick=True))
    steps = [of for what, done, of in told if what == "train a network" and done == of]
    assert steps == [20, 20]
