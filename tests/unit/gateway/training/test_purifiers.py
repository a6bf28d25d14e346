"""What purifiers learn at calibrate is what they do when served."""

from __future__ import annotations

import numpy as np

from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Bounds, InputSpec
from tests.project import Project


def test_a_trained_network_goes_through_the_bundle(project: Project) -> None:
    small = DenoisingAutoencoderSpec(steps=3, width=4, depth=1)
    purify = [{**small.model_dump(), "when": "always"}, {"kind": "total_variation"}]
    config = project.config(chain=[], purify=purify)
    report = calibrate(config, "digits")
    assert [measured.name for measured in report.measured.purifiers] == [
        "denoising_autoencoder-0.3-3-4-1-0",
        "total_variation-0.05-30",
    ]
    step = load_endpoints(config)["digits"].chain.purify[0]
    assert step.always
    with np.load(project.folder / "train.npz") as file:
        x = file["x"]
    spec = InputSpec("image", np.dtype("float32"), (1, 8, 8), Bounds(0, 1), "NCHW")
    assert np.array_equal(step.purifier.apply(x[:5]), small.build(spec, small.fit(x, spec)).apply(x[:5]))
