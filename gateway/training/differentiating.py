"""The protected model as a function that detectors are trained through, made only where one asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from detectors.base import Gradients
from gateway.training.stored import StoredModel
from models.batch import Batch


def gradients_of(model: StoredModel, batch: Batch) -> Callable[[], Gradients]:
    """Makes, of the model, values for rows of the batch (a tensor) and their indices to logits.

    What is returned raises `Unsuitable` where torch is not installed or the model has no gradient.
    """

    @cache
    def made() -> Gradients:
        network = model.network(batch)
        return lambda x, rows: network.outputs(x, batch.take(rows).extras).logits

    return made
