"""Filling in what a config left out of a model, from its graph and a few reference rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

from models.backend import TensorSpec
from models.batch import NO_ARRAYS, Array, Arrays, Batch
from models.classes import Ending, check_run, recognize_classes
from models.graph_backend import GraphBackend
from models.guard import Guard
from models.rows import recognize_rows
from models.specs import ModelSpec, OutputConfig

__all__ = ["Inspected", "resolve_spec"]

SAMPLE_ROWS = 32
NOTHING = OutputConfig(kind="none")
S = TypeVar("S", bound=ModelSpec)


class Inspected(Protocol):
    """What a graph tells of itself."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def is_embedded(self, name: str) -> bool:
        """Whether an input's values are used as indices into a table of weights."""
        ...

    def ending(self, name: str) -> Ending:
        """What the operator that made a tensor's values says of them."""
        ...

    def penultimate(self, logits: str) -> str | None:
        """The name of the tensor that the last layer reads on the way to the logits."""
        ...

    def find_layers(self, logits: str) -> tuple[str, ...]:
        """The names of layers on the way to the logits."""
        ...


def resolve_spec(
    spec: S, graph: Inspected, load: Callable[[S], GraphBackend], x: Array | None, extras: Arrays = NO_ARRAYS
) -> S:
    """The spec with everything stated; without rows (`x` None), from what the graph alone tells.

    Raises:
        ModelError: something can't be told (the text names the key to set), or the rows don't fit the model.
    """
    guard = Guard.of(graph.inputs, spec.guard)
    embedded = guard.single is not None and graph.is_embedded(guard.single)
    config = recognize_rows(spec.input, guard.dtype, guard.shape, x, embedded)
    bare = spec.model_copy(
        update={"input": config, "guard": guard.names, "features": "none", "layers": "none", "outputs": NOTHING}
    )
    sample = _sample(x, guard, extras)
    tensors = None if sample is None else load(bare).predict(sample).tensors
    names = [tensor.name for tensor in graph.outputs] + ([spec.outputs.logits] if spec.outputs.logits else [])
    outputs = recognize_classes(spec.outputs, graph.outputs, {name: graph.ending(name) for name in names}, tensors)
    features = spec.features
    if features == "auto":
        features = (graph.penultimate(outputs.logits) if outputs.logits is not None else None) or "none"
    layers = spec.layers
    if layers == "auto":
        layers = (graph.find_layers(outputs.logits) if outputs.logits is not None else ()) or "none"
    resolved = bare.model_copy(update={"outputs": outputs, "features": features, "layers": layers})
    if sample is not None:
        check_run(load(resolved).predict(sample), len(sample))
    return resolved


def _sample(x: Array | None, guard: Guard, extras: Arrays) -> Batch | None:
    """A few rows to run; None where the inputs beside the guarded one are not known."""
    if x is None or not len(x) or not set(guard.through) <= set(extras):
        return None
    rows = np.array(x[:SAMPLE_ROWS], dtype=guard.dtype)
    return Batch(rows, {name: np.array(extras[name][:SAMPLE_ROWS]) for name in guard.through})
