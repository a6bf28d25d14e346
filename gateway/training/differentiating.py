"""The protected model as a function that detectors are trained through, made only where one asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from defenses.base import Unsuitable
from detectors.base import Gradients
from models.backend import ModelBackend
from models.batch import Batch
from models.errors import ModelError
from models.specs import ModelSpec

_SAMPLE_ROWS = 16


def gradients_of(spec: ModelSpec, folder: Path, backend: ModelBackend, batch: Batch) -> Callable[[], Gradients]:
    """Makes, of the model of a resolved `spec`, values for rows of the batch (a tensor) and their indices to logits.

    What is returned raises `Unsuitable` where torch is not installed or the model has no gradient.
    """

    @cache
    def made() -> Gradients:
        if find_spec("torch") is None:
            raise Unsuitable("torch is not installed (`pip install 'watchgate[torch]'`)")
        from attacks.network import Network, NotDifferentiable

        try:
            network = Network.of(spec, folder)
            network.verify(batch.take(slice(0, _SAMPLE_ROWS)), backend)
        except (NotDifferentiable, ModelError) as error:
            raise Unsuitable(" ".join(str(error).split())) from error
        return lambda x, rows: network.outputs(x, batch.take(rows).extras).logits

    return made
