"""Class logits and pooled features as detectors want them, from tensors as models make them."""

from __future__ import annotations

import numpy as np

from models.batch import Array
from models.errors import ModelError
from models.specs import OutputKind

# Below this a probability is zero to a float32 softmax; its logarithm stays finite.
SMALLEST = np.float32(1e-30)


def to_logits(values: Array, kind: OutputKind) -> Array:
    """(n, classes) float32 logits, log-probabilities of probabilities; one column becomes two classes.

    Raises:
        ModelError: the values are not (n, classes).
    """
    if values.dtype != np.float32:
        values = values.astype(np.float32)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise ModelError(f"outputs.logits: expected (n, classes), found {values.shape}")
    if values.shape[1] == 1:
        values = np.concatenate([1.0 - values if kind == "probabilities" else np.zeros_like(values), values], axis=1)
    return values if kind == "logits" else np.log(np.maximum(values, SMALLEST))


def to_features(values: Array) -> Array:
    """(n, d) float32: the mean over all axes between the first and the last."""
    if values.ndim != 2:
        values = values[:, None] if values.ndim == 1 else values.mean(axis=tuple(range(1, values.ndim - 1)))
    return values if values.dtype == np.float32 else values.astype(np.float32)
