"""One ONNX operator as a torch function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import Parameter
from types import MappingProxyType
from typing import Any

Function = Callable[..., Any]

ANY_NUMBER = float("inf")
NOTHING: Mapping[str, tuple[Any, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Operator:
    """How torch computes an ONNX operator.

    `function` takes the node's inputs by position (None for one left out) and its attributes by keyword; it gives a
    tensor, or a tuple for several outputs. Keywords `opset` and `outputs` (how many the node has) are filled in where
    it asks for them. A function without a readable signature, as torch's own, takes no attributes.

    `host` are the positions of inputs it takes as Python numbers and lists: shapes, axes, sizes.
    `absent` are the positions of inputs that must be left out.
    `allowed` are the values it knows of an attribute, where it does not know all.
    `ignored` are attributes that change nothing in what it computes.
    `outputs` are how many outputs it gives at most.
    `on_host` says that its output is a size, kept on the CPU, whatever device its input is on.
    """

    function: Function
    host: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: NOTHING)
    ignored: tuple[str, ...] = ()
    outputs: float = 1
    on_host: bool = False

    def refusals(self, inputs: Sequence[str], attributes: Mapping[str, Any], outputs: Sequence[str]) -> list[str]:
        """What of a node this function does not know, as short texts ("mode=cubic", "input 4").

        `inputs` and `outputs` name the tensors, "" where one is left out or not used.
        """
        takes = Signature.of(self.function)
        known = {*takes.keywords, *self.ignored, *self.allowed}
        refused = [
            f"{name}={_short(value)}"
            for name, value in sorted(attributes.items())
            if name not in known or (name in self.allowed and value not in self.allowed[name])
        ]
        refused += [f"no {name}" for name in sorted(takes.required - {*attributes, "opset", "outputs"})]
        refused += [
            f"input {i + 1}" for i, name in enumerate(inputs) if name and (i >= takes.inputs or i in self.absent)
        ]
        return refused + [f"output {i + 1}" for i, name in enumerate(outputs) if name and i >= self.outputs]

    def bind(self, attributes: Mapping[str, Any], opset: int, outputs: int) -> Function:
        """The function of this node's inputs alone."""
        given = {**attributes, "opset": opset, "outputs": outputs}
        keywords = Signature.of(self.function).keywords
        bound = {name: value for name, value in given.items() if name in keywords}
        return partial(self.function, **bound) if bound else self.function


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: how many inputs, which attributes, and those it can't do without."""

    inputs: float
    keywords: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    @classmethod
    def of(cls, function: Function) -> Signature:
        """A function's own; one written in C takes any number of inputs and no attributes."""
        try:
            found = inspect.signature(function).parameters.values()
        except ValueError:
            return cls(ANY_NUMBER)
        named = [p for p in found if p.kind is Parameter.KEYWORD_ONLY]
        variadic = any(p.kind is Parameter.VAR_POSITIONAL for p in found)
        return cls(
            ANY_NUMBER if variadic else len(found) - len(named),
            frozenset(p.name for p in named),
            frozenset(p.name for p in named if p.default is Parameter.empty),
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
