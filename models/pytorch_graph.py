"""What an exported torch graph tells of itself. Nodes are torch.fx's; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from models.classes import Ending
from models.errors import ModelError
from models.penultimate import Role, is_only_scaled, penultimate

__all__ = ["TorchGraph", "operator_of", "rank_of"]

CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "convolution", "_convolution"})
POOLS = frozenset({"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d"})
LAYERS = CONVOLUTIONS | {"linear", "addmm", "mm", "matmul"}
# Operators that only hand on, rescale or reshape what the last layer made.
THROUGH = POOLS | frozenset(
    {
        "softmax",
        "_softmax",
        "log_softmax",
        "_log_softmax",
        "sigmoid",
        "add",
        "sub",
        "rsub",
        "mul",
        "div",
        "clamp",
        "log",
    }
    | {"view", "reshape", "flatten", "squeeze", "unsqueeze", "expand", "permute", "transpose", "mean"}
    | {"avg_pool2d"}
    | {"dropout", "clone", "contiguous", "to", "_to_copy", "alias", "detach", "detach_", "cat", "type_as", "batch_norm"}
)
SAME_VALUES = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "clone", "contiguous", "to", "_to_copy", "alias", "dropout"}
)
ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(("softmax", "_softmax"), "softmax"),
    **dict.fromkeys(("log_softmax", "_log_softmax"), "log_softmax"),
    **dict.fromkeys(("sigmoid",), "sigmoid"),
    **dict.fromkeys((*LAYERS, *POOLS, "add", "mean"), "linear"),
}


class TorchGraph:
    """The nodes of an exported graph by name, and which of them depend on the caller's inputs."""

    def __init__(self, graph: Any, inputs: Collection[str], outputs: dict[str, str]) -> None:
        """`inputs` are the caller's placeholders; `outputs` maps each output's name to its node's."""
        self.graph = graph
        self.nodes: dict[str, Any] = {node.name: node for node in graph.nodes}
        self._outputs = outputs
        self._inputs = set(inputs)
        self._moving = set(inputs)
        for node in graph.nodes:
            if any(source.name in self._moving for source in node.all_input_nodes):
                self._moving.add(node.name)

    def node(self, name: str) -> Any:
        """The node of an output or, by its own name, of any tensor.

        Raises:
            ModelError: there is none.
        """
        node = self.nodes.get(self._outputs.get(name, name))
        if node is None or rank_of(node) is None:
            raise ModelError(f"features, outputs.logits: expected the name of a tensor in the graph, found {name!r}")
        return node

    def is_embedded(self, name: str) -> bool:
        """Whether an input's values are used as indices into a table of weights."""
        for user in self.nodes[name].users:
            operator = operator_of(user)
            if operator in ("embedding", "embedding_bag") and user.args[1].name == name:
                return True
            if operator in SAME_VALUES and self.is_embedded(user.name):
                return True
        return False

    def ending(self, name: str) -> Ending:
        """What the operator that made a tensor's values says of them."""
        node = self.node(name)
        while operator_of(node) in SAME_VALUES:
            node = node.args[0]
        return ENDINGS.get(operator_of(node), "other")

    def penultimate(self, logits: str) -> str | None:
        """The node that the last layer reads on the way to the logits; None for linear models."""
        return penultimate(self.node(logits).name, self._role, self.sources)

    def space(self, name: str) -> list[int]:
        """The axes over which features are averaged: those of space, where a convolution reads them."""
        node = self.node(name)
        read_as_image = any(operator_of(user) in CONVOLUTIONS | POOLS for user in node.users)
        return list(range(2, rank_of(node) or 0)) if read_as_image else []

    def is_learned(self, name: str) -> bool:
        """Whether more than scaling lies between the inputs and a tensor."""
        return not is_only_scaled(name, self._role, self.sources)

    def _role(self, name: str) -> Role:
        if name in self._inputs:
            return "start"
        operator = operator_of(self.nodes[name])
        if operator in LAYERS:
            return "layer"
        return "through" if operator in THROUGH else "stop"

    def sources(self, name: str) -> list[str]:
        """The tensors that a tensor was made from, constants and sizes left out."""
        nodes = self.nodes[name].all_input_nodes
        return [node.name for node in nodes if node.name in self._moving and rank_of(node) is not None]


def operator_of(node: Any) -> str:
    """`linear` of `aten.linear.default`; empty for a placeholder."""
    parts = str(node.target).split(".") if node.op == "call_function" else []
    return parts[1] if len(parts) > 1 and parts[0] == "aten" else ""


def rank_of(node: Any) -> int | None:
    """The number of axes of what a node gives; None where that is not a tensor."""
    shape = getattr(node.meta.get("val"), "shape", None)
    return None if shape is None else len(shape)
