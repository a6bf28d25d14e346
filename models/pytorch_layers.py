"""Finding an exported graph's layers, and adding the nodes that pool them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models.errors import ModelError
from models.layers import Layer, Space, spread_out
from models.pytorch_graph import CONVOLUTIONS, LAYERS, SAME_VALUES, TorchGraph, operator_of, rank_of

__all__ = ["find_layers", "layers_named", "pool_layers"]


def find_layers(graph: TorchGraph, logits: str) -> tuple[str, ...]:
    """Layers on the way to the logits, spread over its depth; none for linear models."""
    on_the_way = _ancestors(graph, graph.node(logits).name)
    found: dict[str, None] = {}
    for node in graph.graph.nodes:
        if operator_of(node) not in LAYERS or node.name not in on_the_way:
            continue
        read = graph.sources(node.name)
        name = _before_reshaping(graph, read[0]) if len(read) == 1 else None
        if name is not None and graph.is_learned(name) and _layer(graph.nodes[name]) is not None:
            found[name] = None
    return tuple(spread_out(list(found)))


def layers_named(graph: TorchGraph, names: Sequence[str]) -> tuple[Layer, ...]:
    """What is known of these nodes.

    Raises:
        ModelError: the graph has no such node, or it is no tensor of a known number of channels.
    """
    found = []
    for name in names:
        if name not in graph.nodes:
            raise ModelError(f"layers: expected the name of a tensor in the graph, found {name!r}")
        layer = _layer(graph.nodes[name])
        if layer is None:
            raise ModelError(f"layers: expected floats of a known number of channels, which {name!r} isn't")
        found.append(layer)
    return tuple(found)


def pool_layers(graph: TorchGraph, layers: Sequence[Layer]) -> Any:
    """A new node with the pooled layers; `models.layers.Pooled` takes its values apart."""
    aten = torch.ops.aten
    means, squares, values = [], [], []
    with graph.graph.inserting_before(graph.graph.output_node()):
        for layer in layers:
            node = graph.nodes[layer.name]
            rank = rank_of(node) or 0
            if node.meta["val"].dtype != torch.float32:
                node = graph.graph.call_function(aten.to.dtype, (node, torch.float32))
            if layer.space == "none":
                values.append(node)
                continue
            axes = [1] if layer.space == "before" else list(range(2, rank))
            means.append(graph.graph.call_function(aten.mean.dim, (node, axes)))
            square = graph.graph.call_function(aten.mul.Tensor, (node, node))
            squares.append(graph.graph.call_function(aten.mean.dim, (square, axes)))
        return graph.graph.call_function(aten.cat.default, ([*means, *squares, *values], 1))


def _ancestors(graph: TorchGraph, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.sources(name)
    return found


def _before_reshaping(graph: TorchGraph, name: str) -> str:
    """The tensor before it was flattened, if it had space then."""
    node = graph.nodes[name]
    while operator_of(node) in SAME_VALUES:
        node = node.args[0]
        if (rank_of(node) or 0) > 3:
            return str(node.name)
    return name


def _layer(node: Any) -> Layer | None:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not 2 <= value.ndim <= 5:
        return None
    space: Space = "after"
    if value.ndim == 2:
        space = "none"
    elif value.ndim == 3 and not any(operator_of(user) in CONVOLUTIONS for user in node.users):
        space = "before"
    width = value.shape[-1] if space == "before" else value.shape[1]
    return Layer(node.name, width, space) if isinstance(width, int) else None
