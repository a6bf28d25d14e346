"""ONNX models, run by onnxruntime, with the layer before the logits as one more output of the same run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from models.batch import NO_ARRAYS, Array, Arrays
from models.errors import ModelError
from models.graph_backend import GraphBackend
from models.onnx_graph import Graph
from models.onnx_layers import add_layers, find_layers, layers_named
from models.onnx_session import batch_rows, input_specs, open_session, output_specs
from models.resolving import resolve_spec
from models.specs import OnnxSpec

__all__ = ["OnnxBackend", "resolve_onnx"]


class OnnxBackend(GraphBackend):
    """A loaded ONNX model. Thread-safe: onnxruntime's `run` is, and nothing here changes after loading."""

    def __init__(self, spec: OnnxSpec, folder: Path | None = None) -> None:
        """Screens and loads the file.

        Raises:
            ModelError: as `models.specs.load_model`.
        """
        spec = spec if spec.is_resolved else resolve_onnx(spec, None, folder)
        path = (folder or Path()) / spec.path
        graph = Graph.read(path)
        logits = None if spec.outputs.logits is None else graph.expose(spec.outputs.logits)
        features = None if spec.features == "none" else graph.expose_features(spec.features)
        layers = layers_named(graph, spec.layers) if isinstance(spec.layers, tuple) else ()
        pooled = add_layers(graph, layers) if layers else None
        hidden = [name for name in (logits, features, pooled) if name is not None]
        self._session = open_session(graph.model, path, spec)
        outputs = output_specs(self._session, graph.output_names)
        inputs = input_specs(self._session)
        super().__init__(spec, inputs, outputs, hidden, features, layers, batch_rows(self._session))

    def _forward(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            arrays: list[Array] = self._session.run(self._all_names, feeds)
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise ModelError(f"onnxruntime: {' '.join(str(error).split())}") from error
        return arrays


def resolve_onnx(spec: OnnxSpec, x: Array | None, folder: Path | None, extras: Arrays = NO_ARRAYS) -> OnnxSpec:
    """See `models.specs.resolve`; without rows it states what the graph alone tells."""
    path = (folder or Path()) / spec.path
    graph = _Inspected(path, spec)
    return resolve_spec(spec, graph, lambda stated: OnnxBackend(stated, folder), x, extras)


class _Inspected(Graph):
    """A graph and what onnxruntime says of its inputs and outputs."""

    def __init__(self, path: Path, spec: OnnxSpec) -> None:
        super().__init__(Graph.read(path).model)
        session = open_session(self.model, path, spec)
        self.inputs = input_specs(session)
        self.outputs = output_specs(session, self.output_names)

    def find_layers(self, logits: str) -> tuple[str, ...]:
        """The names of layers on the way to the logits."""
        return find_layers(self, logits)
