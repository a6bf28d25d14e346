"""PyTorch models: `torch.export` files, screened before torch sees them, with the layer before the logits."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec, TensorArgument
from torch.export.passes import move_to_device_pass

from models.backend import TensorSpec
from models.batch import NO_ARRAYS, Array, Arrays
from models.errors import ModelError
from models.factory import make_network
from models.graph_backend import GraphBackend
from models.layers import LAYERS, Layer
from models.pt2_screening import screen_pt2
from models.pytorch_graph import TorchGraph
from models.pytorch_layers import find_layers, layers_named, pool_layers
from models.resolving import resolve_spec
from models.specs import PytorchSpec

__all__ = ["PytorchBackend", "export_pt2", "resolve_pytorch"]

DATATYPES = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.uint16: "UINT16",
    torch.uint32: "UINT32",
    torch.uint64: "UINT64",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}
WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


class PytorchBackend(GraphBackend):
    """A loaded `.pt2` file. Thread-safe. `threads` is torch's own setting, one for the process: the last one holds."""

    def __init__(self, spec: PytorchSpec, folder: Path | None = None) -> None:
        """Screens and loads the file.

        Raises:
            ModelError: as `models.specs.load_model`.
        """
        spec = spec if spec.is_resolved else resolve_pytorch(spec, None, folder)
        program = _Program(spec, folder)
        logits = None if spec.outputs.logits is None else program.expose(spec.outputs.logits, [])
        features = None if spec.features == "none" else program.expose(spec.features, program.space(spec.features))
        layers = layers_named(program, spec.layers) if isinstance(spec.layers, tuple) else ()
        hidden = [name for name in (logits, features, program.expose_layers(layers)) if name is not None]
        self._program = program.freeze()
        self.features_name = features
        self.layers = layers
        torch.set_num_threads(spec.threads)
        super().__init__(spec, program.inputs, program.outputs, hidden, features, layers, program.batch_rows)

    def _forward(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return self._program.run(feeds)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ModelError(f"torch: {' '.join(str(error).split())}") from error

    def tensors(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Outputs and hidden tensors by name, differentiable with respect to the inputs; attacks want that."""
        return dict(zip(self._all_names, self._program.tensors(feeds), strict=False))


def resolve_pytorch(spec: PytorchSpec, x: Array | None, folder: Path | None, extras: Arrays = NO_ARRAYS) -> PytorchSpec:
    """See `models.specs.resolve`; without rows it states what the graph alone tells."""
    return resolve_spec(spec, _Program(spec, folder), lambda stated: PytorchBackend(stated, folder), x, extras)


def export_pt2(
    spec: PytorchSpec, sample: Mapping[str, Array] | Array, out: Path, folder: Path | None = None
) -> PytorchSpec:
    """Makes `out`, a clean `.pt2` file, of safetensors and their factory, or of another `.pt2` file.

    `sample` has two rows or more of each input, by the names of `forward`'s arguments, or of the only one; floats are
    taken in the dtype of the weights. For safetensors it runs the operator's own code: at `calibrate`, never when
    serving. Returns the spec of the new file.

    Raises:
        ModelError: the factory, the weights or the network can't be used.
    """
    path = (folder or Path()) / spec.path
    if spec.factory is not None:
        torch.export.save(_export(make_network(spec, folder), sample), path := out)
    out.write_bytes(_screened(path))
    return spec.model_copy(update={"path": out, "factory": None})


def _export(network: torch.nn.Module, sample: Mapping[str, Array] | Array) -> torch.export.ExportedProgram:
    """The network as a graph that takes any number of rows, if it can."""
    rows = {0: torch.export.Dim.AUTO}
    floats = next((weight.dtype for weight in network.parameters() if weight.is_floating_point()), torch.float32)
    try:
        if isinstance(sample, Mapping):
            tensors = {name: _tensor(array, floats) for name, array in sample.items()}
            return torch.export.export(network, (), tensors, dynamic_shapes=dict.fromkeys(tensors, rows))
        return torch.export.export(network, (_tensor(sample, floats),), dynamic_shapes=(rows,))
    except Exception as error:  # torch.export raises many kinds; to an operator only their text is of use
        raise ModelError(f"factory: torch.export can't export the network: {_line(error)}") from error


def _tensor(array: Array, floats: torch.dtype) -> torch.Tensor:
    tensor = torch.tensor(array)
    return tensor.to(floats) if tensor.is_floating_point() else tensor


def _screened(path: Path) -> bytes:
    return screen_pt2(path, frozenset(torch._C._dispatch_get_all_op_names()))


class _Program(TorchGraph):
    """An exported program: its inputs and outputs as the protocol speaks of them, and how to run it."""

    def __init__(self, spec: PytorchSpec, folder: Path | None) -> None:
        program = _load(spec, folder)
        self._module = program.graph_module
        self._device = torch.device(spec.providers[0])
        self._arguments = [_argument(entry, program) for entry in program.graph_signature.input_specs]
        given = [node for node in self._module.graph.nodes if node.op == "placeholder"]
        self._positions = {node.name: i for i, node in enumerate(given) if self._arguments[i] is FROM_CALLER}
        self._results = list(self._module.graph.output_node().args[0])
        names = _output_names(program, len(self._results))
        self.inputs = tuple(_tensor_spec(name, given[i], "input") for name, i in self._positions.items())
        self.outputs = tuple(_tensor_spec(n, node, "output") for n, node in zip(names, self._results, strict=True))
        self.batch_rows = _batch_rows([given[i] for i in self._positions.values()])
        nodes = {name: node.name for name, node in zip(names, self._results, strict=True)}
        super().__init__(self._module.graph, self._positions, nodes)

    def expose(self, name: str, space: list[int]) -> str:
        """Makes a tensor one more result, its mean over the axes `space`. Returns the result's name."""
        node = self.node(name)
        if not space and name in {tensor.name for tensor in self.outputs}:
            return name
        if space:
            with self.graph.inserting_before(self.graph.output_node()):
                node = self.graph.call_function(torch.ops.aten.mean.dim, (node, space))
        self._results.append(node)
        return f"{name}:mean" if space else name

    def expose_layers(self, layers: Sequence[Layer]) -> str | None:
        """Makes the pooled layers one more result. Returns its name."""
        if not layers:
            return None
        self._results.append(pool_layers(self, layers))
        return LAYERS

    def find_layers(self, logits: str) -> tuple[str, ...]:
        """The names of layers on the way to the logits."""
        return find_layers(self, logits)

    def freeze(self) -> _Program:
        """The program with its results as they now are."""
        self.graph.output_node().args = (tuple(self._results),)
        self._module.recompile()
        return self

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All results, in order."""
        with torch.inference_mode():
            results = self.tensors({name: torch.tensor(feeds[name], device=self._device) for name in self._positions})
            return [np.ascontiguousarray(result.cpu().numpy()) for result in results]

    def tensors(self, feeds: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        """All results, in order, of inputs on the program's device."""
        arguments = list(self._arguments)
        for name, position in self._positions.items():
            arguments[position] = feeds[name]
        results: Sequence[torch.Tensor] = self._module(*arguments)
        return results


FROM_CALLER = object()


def _load(spec: PytorchSpec, folder: Path | None) -> torch.export.ExportedProgram:
    if spec.factory is not None:
        raise ModelError("model: expected a .pt2 file, which calibrate makes of safetensors and their factory")
    for name in spec.providers:
        if name == "cuda" and not torch.cuda.is_available():
            raise ModelError("providers: expected ones that this machine has, found cuda (torch sees no GPU)")
    clean = _screened((folder or Path()) / spec.path)
    try:
        program = torch.export.load(io.BytesIO(clean))
        return move_to_device_pass(program, spec.providers[0])
    except Exception as error:  # torch raises many kinds here; to an operator only their text is of use
        raise ModelError(f"model: torch can't load {spec.path.name}: {_line(error)}") from error


def _argument(entry: InputSpec, program: torch.export.ExportedProgram) -> Any:
    """What a placeholder is given: a weight, a constant, or `FROM_CALLER`."""
    if entry.kind in WEIGHTS and entry.target is not None:
        held = program.state_dict.get(entry.target)
        tensor = held if held is not None else program.constants[entry.target]
        return tensor.detach()
    if entry.kind == InputKind.USER_INPUT and isinstance(entry.arg, TensorArgument):
        return FROM_CALLER
    if entry.kind == InputKind.USER_INPUT and isinstance(entry.arg, ConstantArgument):
        return entry.arg.value
    raise ModelError(f"model: expected tensors as inputs, found {entry.arg}")


def _output_names(program: torch.export.ExportedProgram, count: int) -> list[str]:
    """The keys of the dictionary that `forward` returns, `output` of a single tensor, else `output_0`, `output_1`."""
    signature = program.module_call_graph[0].signature
    tree = None if signature is None else signature.out_spec
    if tree is not None and tree.type is dict:
        return [str(key) for key in tree.context]
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _tensor_spec(name: str, node: Any, side: str) -> TensorSpec:
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    if not isinstance(value, torch.Tensor) or value.dtype not in DATATYPES or not value.ndim:
        found = f"{value.dtype} of {value.ndim} axes" if isinstance(value, torch.Tensor) else type(value).__name__
        raise ModelError(f"model: expected {side} {name!r} to be a tensor of a common type with rows, found {found}")
    return TensorSpec(name, DATATYPES[value.dtype], (-1, *(_size(size) for size in value.shape[1:])))


def _batch_rows(nodes: list[Any]) -> int | None:
    """The number of rows that the graph fixes; None where any number goes."""
    fixed = {_size(node.meta["val"].shape[0]) for node in nodes}
    if len(fixed) > 1:
        raise ModelError(f"model: expected inputs with one number of rows, found {sorted(fixed)}")
    rows = fixed.pop() if fixed else -1
    return rows if rows > 0 else None


def _size(size: int | torch.SymInt) -> int:
    return size if isinstance(size, int) else -1


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
