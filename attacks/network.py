"""The protected model as torch functions: what attacks differentiate, and what the twins of detectors are fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from attacks.losses import Model
from models.backend import ModelBackend, TensorSpec
from models.batch import NO_ARRAYS, Arrays, Batch, InputSpec
from models.gradients import UnsupportedGraph, differentiable
from models.guard import Guard
from models.layers import LAYERS, Layer
from models.onnx_graph import SAME_VALUES, Graph
from models.onnx_layers import add_layers, layers_named
from models.onnx_session import input_specs, open_session
from models.readout import SMALLEST
from models.rows import input_spec
from models.specs import ModelSpec, OnnxSpec, PytorchSpec

Run = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]

TOLERANCE = 1e-3  # between the logits of both, where they are of order one; attacks need no more


class NotDifferentiable(ValueError):
    """No gradient of this model can be had; the text says why."""


@dataclass(frozen=True, slots=True)
class TorchOutputs:
    """One forward pass, as `models.backend.Outputs` has it."""

    logits: Tensor
    features: Tensor | None = None
    layers: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    """The model, frozen. `run` maps named inputs to named tensors; `kind` is what `logits` holds."""

    spec: InputSpec
    guard: Guard
    run: Run
    logits: str
    kind: str
    features: str | None
    layers: tuple[Layer, ...] = ()

    @staticmethod
    def of(spec: ModelSpec, folder: Path | None = None) -> Network:
        """The model of a resolved spec.

        Raises:
            NotDifferentiable: it has no class logits, or operators that have no gradient here.
            ModelError: the file can't be read.
        """
        if spec.outputs.logits is None:
            raise NotDifferentiable("the model has no class logits")
        if isinstance(spec, OnnxSpec):
            return _of_onnx(spec, folder)
        if isinstance(spec, PytorchSpec):
            return _of_pytorch(spec, folder)
        raise NotDifferentiable(f"no gradients of {type(spec).__name__}")

    def outputs(self, x: Tensor, extras: Arrays = NO_ARRAYS) -> TorchOutputs:
        """The answer to rows (n, *row shape) of floats; `extras` are the inputs that pass through beside them."""
        found = self.run(self._feeds(x, extras))
        features = None if self.features is None else _features(found[self.features])
        layers = _layers(found[LAYERS], self.layers) if self.layers else {}
        return TorchOutputs(_logits(found[self.logits], self.kind), features, layers)

    def model(self, extras: Arrays = NO_ARRAYS) -> Model:
        """Rows to logits, as attacks want it; with `extras`, for just those rows in their order."""
        return lambda x: self.outputs(x, extras).logits

    def verify(self, batch: Batch, backend: ModelBackend) -> None:
        """Holds it against the backend on a few rows.

        Raises:
            NotDifferentiable: they disagree, or it can't run.
        """
        expected = backend.predict(batch).logits
        try:
            with torch.no_grad():
                found = self.outputs(torch.tensor(batch.x.astype(np.float64)), batch.extras).logits.numpy()
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise NotDifferentiable(f"the model can't be run in torch: {' '.join(str(error).split())[:200]}") from error
        if expected is None or expected.shape != found.shape:
            raise NotDifferentiable("the model's logits have another shape in torch")
        gap = float(np.abs(found - expected).max(initial=0.0))
        if not gap <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
            raise NotDifferentiable(f"the model computes something else in torch: its logits differ by {gap:.2g}")

    def _feeds(self, x: Tensor, extras: Arrays) -> dict[str, Tensor]:
        feeds = {name: torch.tensor(array) for name, array in extras.items() if array.dtype.kind in "biuf"}
        if self.guard.single is not None:
            return {self.guard.single: x.to(_floating(self.guard.guarded[0])), **feeds}
        start = 0
        for tensor in self.guard.guarded:
            width = 1 if len(tensor.shape) == 1 else tensor.shape[1]
            part = x[:, start : start + width].to(_floating(tensor))
            feeds[tensor.name] = part if len(tensor.shape) > 1 else part[:, 0]
            start += width
        return feeds


def _floating(tensor: TensorSpec) -> torch.dtype:
    """Gradients need floats: integers of the model's input are given as such."""
    if tensor.dtype == np.float16:
        return torch.float16
    exact = tensor.dtype == np.float64 or (tensor.dtype.kind in "iu" and tensor.dtype.itemsize > 2)
    return torch.float64 if exact else torch.float32


def _logits(values: Tensor, kind: str) -> Tensor:
    """As `models.readout.to_logits`; `kind` also knows `log_softmax`, of what a softmax was made of."""
    values = values.float()
    if values.ndim == 1:
        values = values[:, None]
    if values.shape[1] == 1:
        values = torch.cat([1.0 - values if kind == "probabilities" else torch.zeros_like(values), values], dim=1)
    if kind == "log_softmax":
        exact = functional.log_softmax(values, dim=1)
        return exact + (exact.clamp(min=float(np.log(SMALLEST))) - exact).detach()  # the floor hides no gradient
    return values if kind == "logits" else values.clamp(min=float(SMALLEST)).log()


def _features(values: Tensor) -> Tensor:
    """As `models.readout.to_features`."""
    if values.ndim != 2:
        values = values[:, None] if values.ndim == 1 else values.mean(dim=tuple(range(1, values.ndim - 1)))
    return values.float()


def _layers(values: Tensor, layers: Sequence[Layer]) -> dict[str, Tensor]:
    """As `models.layers.Pooled`."""
    spaced = sum(layer.width for layer in layers if layer.space != "none")
    found, mean_at, value_at = {}, 0, 2 * spaced
    for layer in layers:
        if layer.space == "none":
            found[layer.name] = values[:, value_at : value_at + layer.width].float()
            value_at += layer.width
            continue
        mean = values[:, mean_at : mean_at + layer.width].float()
        variance = values[:, spaced + mean_at : spaced + mean_at + layer.width].float() - mean.square()
        found[layer.name] = torch.cat([mean, root(variance)], dim=1)
        mean_at += layer.width
    return found


def root(values: Tensor) -> Tensor:
    """The square root, 0 of what is negative; its slope stays finite at 0."""
    return torch.where(values > 0.0, values.clamp(min=1e-20).sqrt(), 0.0)


def _of_onnx(spec: OnnxSpec, folder: Path | None) -> Network:
    path = (folder or Path()) / spec.path
    graph = Graph.read(path)
    guard = Guard.of(input_specs(open_session(graph.model, path, spec)), spec.guard)
    assert spec.outputs.logits is not None, "checked by the caller"
    logits, kind = _before_softmax(graph, spec.outputs.logits, spec.outputs.kind or "logits")
    features = None if spec.features == "none" else graph.expose_features(spec.features)
    layers = layers_named(graph, spec.layers) if isinstance(spec.layers, tuple) else ()
    pooled = add_layers(graph, layers) if layers else None
    names = [name for name in (logits, features, pooled) if name is not None]
    try:
        found = differentiable(_whole(graph, path), names)
    except UnsupportedGraph as error:
        raise NotDifferentiable(str(error)) from error
    return Network(input_spec(spec.input, guard), guard, found.tensors, logits, kind, features, layers)


def _whole(graph: Graph, path: Path) -> onnx.ModelProto:
    """The model with the weights that live in other files."""
    from onnx.external_data_helper import load_external_data_for_model

    load_external_data_for_model(graph.model, str(path.parent))
    return graph.model


def _before_softmax(graph: Graph, name: str, kind: str) -> tuple[str, str]:
    """What a closing softmax was made of: probabilities near 1 have no gradient left."""
    maker = graph.makers.get(name)
    while maker is not None and maker.op_type in SAME_VALUES:
        maker = graph.makers.get(maker.input[0])
    if kind == "probabilities" and maker is not None and maker.op_type == "Softmax":
        return maker.input[0], "log_softmax"
    return name, kind


def _of_pytorch(spec: PytorchSpec, folder: Path | None) -> Network:
    from models.pytorch import PytorchBackend

    backend = PytorchBackend(spec, folder)
    guard = Guard.of(backend.inputs, spec.guard)
    assert spec.outputs.logits is not None, "checked by the caller"
    features = None if spec.features == "none" else backend.features_name
    kind = spec.outputs.kind or "logits"
    return Network(backend.spec, guard, backend.tensors, spec.outputs.logits, kind, features, backend.layers)
