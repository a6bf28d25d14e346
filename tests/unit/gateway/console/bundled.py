"""A bundle that holds only what pages read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectors.calibration import TailMap
from gateway.explaining.sample import Sample
from gateway.training.bundle import Draft
from gateway.training.sample import FILE
from models.batch import Array, InputSpec


def bundle(folder: Path, x: Array, y: Array, spec: InputSpec, version: str) -> Sample:
    """Writes the bundle of endpoint `digits`, with a sample of these reference rows; gives back the sample."""
    sample = Sample.take(x, y, spec, 100, seed=0)
    assert sample is not None
    home = folder / "bundle" / "digits"
    home.mkdir(parents=True)
    draft = Draft(home)
    draft.add_arrays(FILE, sample.to_arrays())
    draft.add_arrays("calibrated.npz", {"statistic": np.linspace(0.01, 1, 50)})
    stages = [{"name": "brightness", "kind": "energy"}]
    draft.add_arrays("stage-0.npz", TailMap.fit(np.linspace(0.0, 0.4, 200)).to_arrays("tail."))
    report = {"stages": stages, "flag": None, "reject": None}
    draft.write({"version": version, "created": "2026-01-01T00:00:00+00:00", "report": report, "files": draft.files})
    return sample
