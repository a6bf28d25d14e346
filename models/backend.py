"""What the gateway asks of a model, and what it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.batch import NO_ARRAYS, Array, Arrays, Batch, InputSpec

# Open Inference Protocol datatypes and the numpy dtypes that carry them.
DATATYPES: Mapping[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("bool"),
    "UINT8": np.dtype("uint8"),
    "UINT16": np.dtype("uint16"),
    "UINT32": np.dtype("uint32"),
    "UINT64": np.dtype("uint64"),
    "INT8": np.dtype("int8"),
    "INT16": np.dtype("int16"),
    "INT32": np.dtype("int32"),
    "INT64": np.dtype("int64"),
    "FP16": np.dtype("float16"),
    "FP32": np.dtype("float32"),
    "FP64": np.dtype("float64"),
    "BYTES": np.dtype("object"),
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named tensor as the protocol speaks of it. Axis 0 is the batch; -1 marks a free axis."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy dtype that carries it."""
        return DATATYPES[self.datatype]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What one forward pass gave, n rows each.

    `tensors` is what the caller gets, exactly as the model makes it. `logits` is (n, classes) float32
    (log-probabilities where the model ends in probabilities; None for a model without classes).
    `features` is (n, d) float32, the pooled penultimate layer, or None.
    `layers` are intermediate layers by name, (n, d) float32: mean and spread over space, (n, 2 channels), or the values
    of a layer that has no space. Empty unless the model's spec asks for them.
    """

    tensors: Arrays
    logits: Array | None = None
    features: Array | None = None
    layers: Arrays = field(default_factory=lambda: NO_ARRAYS)

    def take(self, rows: Array | slice) -> Outputs:
        """The outputs of only these rows."""
        return Outputs(
            {name: array[rows] for name, array in self.tensors.items()},
            None if self.logits is None else self.logits[rows],
            None if self.features is None else self.features[rows],
            {name: array[rows] for name, array in self.layers.items()} if self.layers else NO_ARRAYS,
        )

    def patched(self, rows: Array, other: Outputs) -> Outputs:
        """A copy in which `rows` (indices or a mask) come from `other`, whose rows are just those, in order."""
        return Outputs(
            {name: _patch(array, rows, other.tensors[name]) for name, array in self.tensors.items()},
            None if self.logits is None or other.logits is None else _patch(self.logits, rows, other.logits),
            None if self.features is None or other.features is None else _patch(self.features, rows, other.features),
            {name: _patch(array, rows, other.layers[name]) for name, array in self.layers.items()},
        )

    def spread(self, rows: Array) -> Outputs:
        """As many rows as the mask `rows` has: these where it is true, zeros (empty strings) elsewhere."""
        return Outputs(
            {name: _spread(array, rows) for name, array in self.tensors.items()},
            None if self.logits is None else _spread(self.logits, rows),
            None if self.features is None else _spread(self.features, rows),
            {name: _spread(array, rows) for name, array in self.layers.items()},
        )

    @staticmethod
    def concat(parts: Sequence[Outputs]) -> Outputs:
        """All rows of the parts in order."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return Outputs(
            {name: np.concatenate([p.tensors[name] for p in parts]) for name in first.tensors},
            None if first.logits is None else np.concatenate([p.logits for p in parts if p.logits is not None]),
            None if first.features is None else np.concatenate([p.features for p in parts if p.features is not None]),
            {name: np.concatenate([p.layers[name] for p in parts]) for name in first.layers},
        )


def _patch(array: Array, rows: Array, values: Array) -> Array:
    copy = array.copy()
    copy[rows] = values
    return copy


def _spread(array: Array, rows: Array) -> Array:
    full = np.zeros((len(rows), *array.shape[1:]), array.dtype)
    if array.dtype == object:
        full[...] = ""
    full[rows] = array
    return full


class ModelBackend(Protocol):
    """A loaded model. `predict` is thread-safe and deterministic.

    `join` makes a `Batch` of decoded input tensors: the guarded one, or several columns side by side, become `Batch.x`.
    """

    @property
    def spec(self) -> InputSpec:
        """What a row of the guarded input looks like."""
        ...

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors a caller sends."""
        ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors a caller gets."""
        ...

    def join(self, tensors: Arrays) -> Batch:
        """The batch of these named input tensors."""
        ...

    def predict(self, batch: Batch) -> Outputs:
        """One forward pass."""
        ...
