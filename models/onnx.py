"""ONNX models, run by onnxruntime, with the layer before the logits as one more output of the same run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.backend import Outputs
from models.batch import NO_ARRAYS, Array, Arrays, Batch
from models.chunks import in_chunks
from models.classes import check_run, recognize_classes
from models.errors import ModelError
from models.guard import Guard
from models.onnx_graph import Graph
from models.onnx_session import batch_rows, input_specs, open_session, output_specs
from models.readout import to_features, to_logits
from models.rows import input_spec, recognize_rows
from models.specs import OnnxSpec, OutputConfig

__all__ = ["OnnxBackend", "resolve_onnx"]

SAMPLE_ROWS = 32


class OnnxBackend:
    """A loaded ONNX model. Thread-safe: onnxruntime's `run` is, and nothing here changes after loading."""

    def __init__(self, spec: OnnxSpec, folder: Path | None = None) -> None:
        """Screens and loads the file.

        Raises:
            ModelError: as `models.specs.load_model`.
        """
        spec = spec if spec.is_resolved else resolve_onnx(spec, None, folder)
        path = (folder or Path()) / spec.path
        graph = Graph.read(path)
        self._kind = spec.outputs.kind or "none"
        self._logits = None if spec.outputs.logits is None else graph.expose(spec.outputs.logits)
        self._features = None if spec.features == "none" else graph.expose_features(spec.features)
        session = open_session(graph.model, path, spec)
        inputs = input_specs(session)
        self.outputs = output_specs(session, graph.outputs)
        self._guard = Guard.of(inputs, spec.guard)
        self.spec = input_spec(spec.input, self._guard)
        self.inputs = self._guard.concrete(inputs, self.spec.shape)
        self._session = session
        self._names = [tensor.name for tensor in self.outputs]
        hidden = [name for name in (self._logits, self._features) if name is not None and name not in self._names]
        self._all_names = self._names + hidden
        self._single = self._guard.single if len(inputs) == 1 else None
        self._batch_rows = batch_rows(session)

    def join(self, tensors: Arrays) -> Batch:
        """The batch of these named input tensors.

        Raises:
            ModelError: an input is missing, or the inputs disagree on the number of rows.
        """
        return self._guard.join(tensors)

    def predict(self, batch: Batch) -> Outputs:
        """One forward pass; several where the graph fixes the number of rows.

        Raises:
            ModelError: onnxruntime refused the rows; the text is its own.
        """
        feeds = {self._single: batch.x} if self._single is not None else self._guard.split(batch)
        if self._batch_rows is None:
            arrays = self._forward(feeds)
        else:
            arrays = in_chunks(self._forward, feeds, len(batch), self._batch_rows)
        found = dict(zip(self._all_names, arrays, strict=True))
        logits = None if self._logits is None else to_logits(found[self._logits], self._kind)
        features = None if self._features is None else to_features(found[self._features])
        if len(found) > len(self._names):
            found = dict(zip(self._names, arrays, strict=False))  # hidden ones come last
        return Outputs(found, logits, features)

    def _forward(self, feeds: dict[str, Array]) -> list[Array]:
        try:
            arrays: list[Array] = self._session.run(self._all_names, feeds)
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise ModelError(f"onnxruntime: {' '.join(str(error).split())}") from error
        return arrays


def resolve_onnx(spec: OnnxSpec, x: Array | None, folder: Path | None, extras: Arrays = NO_ARRAYS) -> OnnxSpec:
    """See `models.specs.resolve`; without rows it states what the graph alone tells."""
    path = (folder or Path()) / spec.path
    graph = Graph.read(path)
    session = open_session(graph.model, path, spec)
    guard = Guard.of(input_specs(session), spec.guard)
    embedded = guard.single is not None and graph.is_embedded(guard.single)
    config = recognize_rows(spec.input, guard.dtype, guard.shape, x, embedded)
    bare = spec.model_copy(update={"input": config, "guard": guard.names, "features": "none", "outputs": NOTHING})
    sample = _sample(x, guard, extras)
    tensors = None if sample is None else OnnxBackend(bare, folder).predict(sample).tensors
    endings = {name: graph.ending(name) for name in (*graph.outputs, spec.outputs.logits or graph.outputs[0])}
    outputs = recognize_classes(spec.outputs, output_specs(session, graph.outputs), endings, tensors)
    features = spec.features
    if features == "auto":
        features = (graph.penultimate(outputs.logits) if outputs.logits is not None else None) or "none"
    resolved = bare.model_copy(update={"outputs": outputs, "features": features})
    if sample is not None:
        check_run(OnnxBackend(resolved, folder).predict(sample), len(sample))
    return resolved


NOTHING = OutputConfig(kind="none")


def _sample(x: Array | None, guard: Guard, extras: Arrays) -> Batch | None:
    """A few rows to run; None where the inputs beside the guarded one are not known."""
    if x is None or not len(x) or not set(guard.through) <= set(extras):
        return None
    rows = np.array(x[:SAMPLE_ROWS], dtype=guard.dtype)
    return Batch(rows, {name: np.array(extras[name][:SAMPLE_ROWS]) for name in guard.through})
