"""What BentoML's documentation shows: a service with one `@bentoml.api` method on arrays, all defaults."""

import os
from pathlib import Path

import bentoml
import numpy as np

from benchmarks.serving.nets import single_threaded
from models.batch import Array


@bentoml.service(workers=1)
class Plain:
    """One ONNX model."""

    def __init__(self) -> None:
        self.session = single_threaded(Path(os.environ["BENCH_MODEL"]))

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, image: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """The logits of these images."""
        logits: Array = self.session.run(["logits"], {"image": image.astype(np.float32)})[0]
        return logits
