"""Finding a graph's layers, and adding the nodes that pool them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper, shape_inference

from models.errors import ModelError
from models.layers import LAYERS, Layer, Space, spread_out
from models.onnx_graph import CONVOLUTIONS, LINEAR, SAME_VALUES, Graph

__all__ = ["add_layers", "find_layers", "layers_named"]

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16})


def find_layers(graph: Graph, logits: str) -> tuple[str, ...]:
    """Layers on the way to the logits, spread over its depth; none for trees and linear models."""
    on_the_way = _ancestors(graph, logits)
    shapes = _shapes(graph)
    found: dict[str, None] = {}
    for node in graph.model.graph.node:
        if node.op_type not in LINEAR or not on_the_way.intersection(node.output):
            continue
        read = [name for name in node.input if name and name not in graph.constants]
        name = _before_reshaping(graph, read[0], shapes) if len(read) == 1 else None
        if name is not None and graph.is_learned(name) and _layer(graph, name, shapes) is not None:
            found[name] = None
    return tuple(spread_out(list(found)))


def layers_named(graph: Graph, names: Sequence[str]) -> tuple[Layer, ...]:
    """What is known of these tensors.

    Raises:
        ModelError: the graph has no such tensor, or its shape can't be told.
    """
    shapes = _shapes(graph)
    found = []
    for name in names:
        if name not in graph.makers:
            raise ModelError(f"layers: expected the name of a tensor in the graph, found {name!r}")
        layer = _layer(graph, name, shapes)
        if layer is None:
            raise ModelError(f"layers: expected floats of a known number of channels, which {name!r} isn't")
        found.append(layer)
    return tuple(found)


def add_layers(graph: Graph, layers: Sequence[Layer]) -> str:
    """Makes the pooled layers one more output of the graph; its name. `models.layers.Pooled` takes it apart."""
    shapes = _shapes(graph)
    nodes: list[onnx.NodeProto] = []
    means, squares, values = [], [], []
    for index, layer in enumerate(layers):
        stem, source = f"{LAYERS}_{index}", layer.name
        if shapes[source].elem_type != TensorProto.FLOAT:
            nodes.append(helper.make_node("Cast", [source], [source := f"{stem}_float"], to=TensorProto.FLOAT))
        if layer.space == "none":
            values.append(source)
            continue
        if layer.space == "before":
            nodes.append(helper.make_node("Transpose", [source], [source := f"{stem}_turned"], perm=[0, 2, 1]))
        nodes.append(helper.make_node("Mul", [source, source], [f"{stem}_square"]))
        means.append(_pool(nodes, source, f"{stem}_mean"))
        squares.append(_pool(nodes, f"{stem}_square", f"{stem}_squares"))
    ranks = {len(shapes[layer.name].shape.dim) for layer in layers if layer.space != "none"}
    pools = [*means, *squares]
    if len(ranks) == 1:  # one node for all of them
        nodes.append(helper.make_node("Concat", pools, [f"{LAYERS}_pools"], axis=1))
        pools = [f"{LAYERS}_pools"]
    flat = [f"{name}_flat" for name in pools]
    nodes += [helper.make_node("Flatten", [name], [to], axis=1) for name, to in zip(pools, flat, strict=True)]
    nodes.append(helper.make_node("Concat", [*flat, *values], [LAYERS], axis=1))
    graph.model.graph.node.extend(nodes)
    graph.model.graph.output.append(onnx.ValueInfoProto(name=LAYERS))
    return LAYERS


def _pool(nodes: list[onnx.NodeProto], source: str, name: str) -> str:
    nodes.append(helper.make_node("GlobalAveragePool", [source], [name]))
    return name


def _ancestors(graph: Graph, name: str) -> set[str]:
    """The tensors that a tensor is made of, itself too; constants left out."""
    found, open_ = set(), [name]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found.add(name)
        node = graph.makers.get(name)
        if node is not None:
            open_ += [source for source in node.input if source and source not in graph.constants]
    return found


def _before_reshaping(graph: Graph, name: str, shapes: dict[str, onnx.TypeProto.Tensor]) -> str:
    """The tensor before it was flattened, if it had space then."""
    start = name
    while (node := graph.makers.get(name)) is not None and node.op_type in SAME_VALUES:
        name = node.input[0]
        if name in shapes and len(shapes[name].shape.dim) > 3:
            return name
    return start


def _layer(graph: Graph, name: str, shapes: dict[str, onnx.TypeProto.Tensor]) -> Layer | None:
    known = shapes.get(name)
    if known is None or known.elem_type not in FLOATS or not known.HasField("shape"):
        return None
    sizes = [dim.dim_value for dim in known.shape.dim]  # 0 where it is free
    space: Space
    if len(sizes) == 2:
        space = "none"
    elif len(sizes) == 3 and not any(node.op_type in CONVOLUTIONS for node in graph.readers.get(name, ())):
        space = "before"
    else:
        space = "after"
    if not 2 <= len(sizes) <= 5:
        return None
    width = sizes[-1] if space == "before" else sizes[1]
    return Layer(name, width, space) if width > 0 else None


def _shapes(graph: Graph) -> dict[str, onnx.TypeProto.Tensor]:
    """Types and shapes of tensors, as far as they can be inferred."""
    try:
        inferred = shape_inference.infer_shapes(graph.model).graph
    except (RuntimeError, ValueError):  # operators that it does not know, or a graph too large for it
        inferred = graph.model.graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {value.name: value.type.tensor_type for value in values if value.type.HasField("tensor_type")}
