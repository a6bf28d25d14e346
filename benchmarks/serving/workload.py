"""What one network's servers share: the model file, calibration rows, and the honest requests that are sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import CACHE, Images, smooth_images
from benchmarks.serving.bodies import Format, written
from benchmarks.serving.nets import Net, build, single_threaded
from models.batch import Array

REFERENCE_ROWS = 2000
HOLDOUT_ROWS = 3000
REQUEST_ROWS = 256


@dataclass(frozen=True)
class Workload:
    """Files under `folder`; `x` are the rows sent, which calibration never sees."""

    net: Net
    folder: Path
    model: Path
    reference: Path
    holdout: Path
    x: Images

    @staticmethod
    def make(net: Net) -> Workload:
        """Builds everything anew, seeded."""
        folder = CACHE / "serving" / net.name
        folder.mkdir(parents=True, exist_ok=True)
        reference, holdout = folder / "reference.npz", folder / "holdout.npz"
        np.savez(reference, x=smooth_images(REFERENCE_ROWS, seed=1))
        np.savez(holdout, x=smooth_images(HOLDOUT_ROWS, seed=2))
        model = build(net, folder / "model.onnx")
        return Workload(net, folder, model, reference, holdout, smooth_images(REQUEST_ROWS, seed=3))

    def logits(self, row: int) -> Array:
        """What the model says of one of the rows sent, (1, classes)."""
        logits: Array = single_threaded(self.model).run(["logits"], {"image": self.x[row : row + 1]})[0]
        return logits

    def requests(self, name: str, path: str, form: Format) -> Path:
        """A folder of the requests as bytes, one file a row."""
        return written(self.folder / "requests" / name, path, form, self.x)
