"""A graph as a list of calls on numbered slots, with everything that is fixed computed beforehand.

Sizes computed from shapes stay on the CPU, wherever the rows are, and reach shapes and axes as Python numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from models.gradients.dtypes import to_torch
from models.gradients.graph import Graph, Node
from models.gradients.operator import Function, Operator
from models.gradients.operators import OPERATORS

Place = Literal["device", "host", "python"]

ABSENT = 0  # the slot of an input that is left out


class Step(NamedTuple):
    """One call: the slots of its arguments and of its results, and those that nobody reads afterwards."""

    call: Function
    arguments: tuple[int, ...]
    results: tuple[int, ...]
    finished: tuple[int, ...] = ()


@dataclass(slots=True)
class Program:
    """What `Network` runs.

    `template` is the content of all slots before the first step; `buffers` are the slots of constants that must be on
    the device of the rows, `inputs` and `outputs` those of named tensors.
    """

    template: list[Any] = field(default_factory=lambda: [None])
    buffers: dict[int, Tensor] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def new_slot(self, value: Any = None) -> int:
        """A slot that starts with this content."""
        self.template.append(value)
        return len(self.template) - 1


def compiled(graph: Graph) -> Program:
    """The program of a graph without refusals."""
    compiler = _Compiler(graph)
    for node in graph.nodes:
        compiler.add(node)
    program = compiler.program
    program.outputs = {name: compiler.slot(name, compiler.home(name)) for name in graph.outputs}
    program.steps = _with_finished(program)
    return program


class _Compiler:
    """Where every tensor is while the steps are being written."""

    def __init__(self, graph: Graph) -> None:
        read = {name for node in graph.nodes for name in node.inputs} | {*graph.outputs}
        self.program = Program()
        self.program.inputs = {name: self.program.new_slot() for name in graph.inputs if name in read}
        self.constants = {name: to_torch(tensor) for name, tensor in graph.constants.items()}
        self.on_host: set[str] = set()
        self.slots: dict[tuple[str, Place], int] = {
            (name, "device"): slot for name, slot in self.program.inputs.items()
        }

    def home(self, name: str) -> Place:
        """Where the step that makes a tensor leaves it."""
        return "host" if name in self.on_host else "device"

    def add(self, node: Node) -> None:
        """One more node: computed now if nothing it reads depends on the rows, else a step."""
        operator = OPERATORS[node.domain, node.kind]
        call = operator.bind(node.attributes, node.opset, len(node.outputs))
        computed = [name for name in node.inputs if name and name not in self.constants]
        if computed:
            self._add_step(node, operator, call, on_host=all(name in self.on_host for name in computed))
            return
        values = [
            self._constant(name, "python" if i in operator.host else "host") for i, name in enumerate(node.inputs)
        ]
        with torch.no_grad():
            result = call(*values)
        self.constants |= dict(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=False))

    def slot(self, name: str, place: Place) -> int:
        """Where a tensor can be read in this place; it is brought there if need be."""
        if not name:
            return ABSENT
        if (name, place) not in self.slots:
            made = self._placed(name, place) if name in self.constants else self._moved(name, place)
            self.slots[name, place] = made
        return self.slots[name, place]

    def _add_step(self, node: Node, operator: Operator, call: Function, *, on_host: bool) -> None:
        arguments = []
        for i, name in enumerate(node.inputs):
            place: Place = "python" if i in operator.host else "host" if on_host else "device"
            arguments.append(self.slot(name, place))
        on_host = on_host or operator.on_host
        results = []
        for name in node.outputs:
            results.append(self.program.new_slot())
            self.slots[name, "host" if on_host else "device"] = results[-1]
        if on_host:
            self.on_host.update(node.outputs)
        self.program.steps.append(Step(call, tuple(arguments), tuple(results)))

    def _constant(self, name: str, place: Place) -> Any:
        if not name:
            return None
        return self.constants[name].tolist() if place == "python" else self.constants[name]

    def _placed(self, name: str, place: Place) -> int:
        if place != "device":
            return self.program.new_slot(self._constant(name, place))
        slot = self.program.new_slot()
        self.program.buffers[slot] = self.constants[name]
        return slot

    def _moved(self, name: str, place: Place) -> int:
        source, slot = self.slots[name, self.home(name)], self.program.new_slot()
        if place == "python":
            self.program.steps.append(Step(Tensor.tolist, (source,), (slot,)))
        else:
            rows = next(iter(self.program.inputs.values()))
            self.program.steps.append(Step(_onto, (source, rows), (slot,)))
        return slot


def _onto(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.device)


def _with_finished(program: Program) -> list[Step]:
    """The steps with the slots that each is the last to read, so that their memory can go."""
    kept = {ABSENT, *program.outputs.values(), *program.inputs.values(), *program.buffers}
    kept |= {slot for slot, value in enumerate(program.template) if value is not None}
    steps = []
    for step in reversed(program.steps):
        finished = {*step.arguments, *step.results} - kept
        kept |= finished
        steps.append(step._replace(finished=tuple(sorted(finished))))
    return steps[::-1]
