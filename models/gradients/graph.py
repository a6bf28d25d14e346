"""The part of an ONNX graph that some of its tensors depend on, and what in it has no gradient here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import inliner

from models.gradients.dtypes import FLOATING, attribute, readable
from models.gradients.operators import OPERATORS

OPSETS = range(13, 24)
DOMAINS = {"": "ai.onnx"}


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: names of its tensors ("" where one is left out or not used), attributes, domain, opset."""

    kind: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def refusals(self) -> Iterator[str]:
        """What the interpreter does not know of it, one text each."""
        where = f"({DOMAINS.get(self.domain, self.domain)} {self.opset})"
        operator = OPERATORS.get((self.domain, self.kind))
        if operator is None:
            yield f"{self.kind} {where}"
        else:
            for text in operator.refusals(self.inputs, self.attributes, self.outputs):
                yield f"{self.kind} with {text} {where}"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order they can run in, the constants they read, the inputs of the whole graph, the tensors asked for.

    `inputs` are all the model's own, also those that nothing here depends on.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, onnx.TensorProto]
    opset: int

    def refusals(self) -> list[str]:
        """Everything in it that the interpreter does not know, without repetition; empty if it can be run."""
        found = [text for node in self.nodes for text in node.refusals()]
        if self.opset not in OPSETS:
            found.append(f"opset {self.opset} (known are {OPSETS.start} to {OPSETS.stop - 1})")
        for name, tensor in self.constants.items():
            if not readable(tensor):
                found.append(f"initializer {name!r} of type {onnx.TensorProto.DataType.Name(tensor.data_type)}")
        return list(dict.fromkeys(found))


def read(model: onnx.ModelProto | Path) -> onnx.ModelProto:
    """The model, its local functions put in place of their calls.

    Raises:
        OSError: the file can't be read.
        google.protobuf.message.DecodeError: it isn't an ONNX model.
    """
    found = onnx.load(model) if isinstance(model, Path) else model
    return inliner.inline_local_functions(found) if found.functions else found


def main_output(model: onnx.ModelProto) -> str:
    """The first output that is a tensor of floating numbers.

    Raises:
        ValueError: there is none.
    """
    for output in model.graph.output:
        if output.type.tensor_type.elem_type in FLOATING:
            return str(output.name)
    raise ValueError("the model has no output of floating numbers")


def part(model: onnx.ModelProto, outputs: Sequence[str]) -> Graph:
    """What these tensors, of any names in the graph, depend on.

    Raises:
        ValueError: the graph has no tensor of such a name.
    """
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = tuple(value.name for value in model.graph.input if value.name not in stored)
    _check_names(outputs, inputs, stored, model.graph)
    used, kept = set(outputs), []
    for proto in reversed(model.graph.node):
        if used & set(proto.output):
            kept.append(proto)
            used.update(proto.input)
    opsets = {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}
    return Graph(
        inputs=inputs,
        outputs=tuple(outputs),
        nodes=tuple(_node(proto, used, opsets) for proto in reversed(kept)),
        constants={name: tensor for name, tensor in stored.items() if name in used},
        opset=opsets.get("", OPSETS.stop - 1),
    )


def _node(proto: onnx.NodeProto, used: set[str], opsets: Mapping[str, int]) -> Node:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    return Node(
        kind=proto.op_type,
        domain=domain,
        opset=opsets.get(domain, 1),
        inputs=_trimmed(proto.input),
        outputs=tuple(name if name in used else "" for name in proto.output),
        attributes={entry.name: attribute(entry) for entry in proto.attribute},
    )


def _trimmed(names: Iterable[str]) -> tuple[str, ...]:
    """Without the empty names at the end."""
    found = list(names)
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def _check_names(outputs: Sequence[str], inputs: Iterable[str], stored: Iterable[str], graph: onnx.GraphProto) -> None:
    made = {name for node in graph.node for name in node.output if name}
    missing = [name for name in outputs if name not in made and name not in {*inputs, *stored}]
    if missing:
        raise ValueError(
            f"the graph has no tensor {', '.join(map(repr, missing))}; "
            f"its outputs are {', '.join(repr(value.name) for value in graph.output)}"
        )
