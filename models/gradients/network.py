"""An ONNX graph as a torch module that gradients pass through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from models.gradients.graph import main_output, part, read
from models.gradients.program import Program, compiled


class UnsupportedGraph(ValueError):
    """The model needs operators that have no gradient here. `reasons` names each of them."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(
            f"Unsupported: operators {', '.join(reasons)}; "
            "gradients need a graph of the operators in models.gradients.OPERATORS"
        )


class Network(torch.nn.Module):
    """The tensors `output_names` as functions of the tensors `input_names`.

    Called with the model's inputs in its own order or by name, it gives one tensor, or a dictionary of them if it was
    made for several. Weights are buffers: they take no gradient and follow `to(device)`. Gradients with respect to an
    integer input start at its first cast, if it is given as floating numbers.
    """

    def __init__(self, program: Program, model_inputs: Sequence[str], *, single: bool) -> None:
        super().__init__()
        self.input_names = tuple(program.inputs)
        self.output_names = tuple(program.outputs)
        self.single = single
        self._model_inputs = tuple(model_inputs)
        self._program = Program(program.template, {}, program.inputs, program.outputs, program.steps)
        self._constants = {slot: f"constant_{slot}" for slot in program.buffers}
        for slot, tensor in program.buffers.items():
            self.register_buffer(self._constants[slot], tensor)

    def forward(self, *rows: Tensor, **named: Tensor) -> Tensor | dict[str, Tensor]:
        """The tensors asked for.

        Raises:
            TypeError: an input is missing, or is not one of the model's.
        """
        found = self.tensors(self._inputs(rows, named))
        return next(iter(found.values())) if self.single else found

    def _inputs(self, rows: Sequence[Tensor], named: dict[str, Tensor]) -> dict[str, Tensor]:
        given = {**dict(zip(self._model_inputs, rows, strict=False)), **named}
        if len(rows) > len(self._model_inputs) or not given.keys() <= {*self._model_inputs}:
            raise TypeError(f"the model's inputs are {', '.join(self._model_inputs)}")
        missing = [name for name in self.input_names if name not in given]
        if missing:
            raise TypeError(f"missing input {', '.join(missing)}")
        return given

    def tensors(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors asked for by name, one or several, of inputs by name."""
        program = self._program
        values: list[Any] = program.template.copy()
        for name, slot in program.inputs.items():
            values[slot] = given[name]
        for slot, buffer in self._constants.items():
            values[slot] = self._buffers[buffer]
        for call, arguments, results, finished in program.steps:
            result = call(*[values[i] for i in arguments])
            if isinstance(result, tuple):
                for slot, value in zip(results, result, strict=False):
                    values[slot] = value
            else:
                values[results[0]] = result
            for slot in finished:
                values[slot] = None
        return {name: values[slot] for name, slot in program.outputs.items()}


def differentiable(model: onnx.ModelProto | Path, output: str | Sequence[str] | None = None) -> Network:
    """The model as a torch module, frozen, differentiable with respect to its inputs.

    `output` names a tensor of the graph, of its outputs or any other: the module gives that one. With several names
    it gives a dictionary. Without a name it is the first output that is a tensor of floating numbers.

    Raises:
        UnsupportedGraph: an operator that these tensors depend on is not in `OPERATORS`, all such in one message.
        ValueError: the graph has no tensor of such a name.
        OSError: the file can't be read.
    """
    found = read(model)
    names = _names(found, output)
    graph = part(found, names)
    if refusals := graph.refusals():
        raise UnsupportedGraph(refusals)
    return Network(compiled(graph), graph.inputs, single=output is None or isinstance(output, str))


def unsupported(model: onnx.ModelProto | Path, output: str | Sequence[str] | None = None) -> list[str]:
    """What keeps these tensors (as in `differentiable`) from having a gradient, one text each; empty if nothing."""
    found = read(model)
    return part(found, _names(found, output)).refusals()


def _names(model: onnx.ModelProto, output: str | Sequence[str] | None) -> tuple[str, ...]:
    if output is None:
        return (main_output(model),)
    return (output,) if isinstance(output, str) else tuple(output)
