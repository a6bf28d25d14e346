"""What is refused in an ONNX file before anything else reads it: foreign operators, and data outside its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import inliner

from models.errors import ModelError, UnsafeModel

__all__ = ["external_files", "read_onnx", "screened"]

# Operators that onnxruntime itself brings; any other domain would need a library of somebody else's code.
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"})
# Of onnxruntime's own, those that open a file named in the graph or call into Python or torch.
REFUSED = frozenset({"EPContext", "PythonOp", "PythonOpGrad", "ATen", "ExternalGradient", "TritonOp"})


def read_onnx(path: Path) -> onnx.ModelProto:
    """The graph, screened, its functions inlined; weights kept in other files are not read.

    Raises:
        UnsafeModel: a foreign operator, or data outside the model's folder.
        ModelError: no file, or not an ONNX file.
    """
    model = _parse(path)
    for node in _nodes(model.graph.node):
        _check_operator(node, frozenset())
    del model.training_info[:]
    for tensor in _tensors(model.graph):
        _external_file(tensor, path.parent)
    return model


def screened(content: bytes, name: str) -> onnx.ModelProto:
    """The graph in these bytes, screened likewise; all its weights must be in it. `name` is for error texts.

    Raises:
        UnsafeModel: a foreign operator, or data in other files.
        ModelError: not an ONNX file.
    """
    model = _parsed(content, name)
    for node in _nodes(model.graph.node):
        _check_operator(node, frozenset())
    del model.training_info[:]
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise UnsafeModel(f"model: expected all data in {name} itself, found that of {tensor.name!r} elsewhere")
    return model


def external_files(path: Path) -> tuple[Path, ...]:
    """The files beside the model that its weights live in, each once.

    Raises:
        ModelError: as `read_onnx`.
    """
    files = (_external_file(tensor, path.parent) for tensor in _tensors(read_onnx(path).graph))
    return tuple(dict.fromkeys(file for file in files if file is not None))


def _parse(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise ModelError(f"model: expected a file, found none at {path}")
    return _parsed(path.read_bytes(), path.name)


def _parsed(content: bytes, name: str) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        raise ModelError(f"model: expected an ONNX file, found something else in {name}") from None
    if not model.graph.output:
        raise ModelError(f"model: expected an ONNX file with outputs, found none in {name}")
    if not model.functions:
        return model
    local = frozenset((function.domain, function.name) for function in model.functions)
    for function in model.functions:  # before inlining reads them: a function's body is held to the same list
        for node in _nodes(function.node):
            _check_operator(node, local)
    inlined: onnx.ModelProto = inliner.inline_local_functions(model)
    return inlined


def _check_operator(node: onnx.NodeProto, local: frozenset[tuple[str, str]]) -> None:
    if (node.domain, node.op_type) in local:
        return
    if node.domain not in DOMAINS or (node.domain == "com.microsoft" and node.op_type in REFUSED):
        raise UnsafeModel(
            f"model: expected operators of ONNX and onnxruntime, found {node.domain}.{node.op_type}, "
            "which needs code or files from outside the model"
        )


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """All nodes, those of subgraphs (If, Loop, Scan) included."""
    for node in nodes:
        yield node
        for graph in _subgraphs(node):
            yield from _nodes(graph.node)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every tensor stored in the graph: weights, sparse ones, attributes, subgraphs' too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
        for subgraph in _subgraphs(node):
            yield from _tensors(subgraph)


def _external_file(tensor: onnx.TensorProto, folder: Path) -> Path | None:
    """The file a tensor's data is in, None where it is in the model itself."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL and not tensor.external_data:
        return None
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    inside = folder.resolve()
    file = (inside / location).resolve()  # follows links: one that leads out of the folder is out of it
    if not location or not file.is_relative_to(inside) or file == inside:
        raise UnsafeModel(
            f"model: expected the data of {tensor.name!r} inside the model's folder, found it at {location!r}"
        )
    if not file.is_file():
        raise ModelError(f"model: expected the data of {tensor.name!r} in {location!r}, found no such file")
    return folder / location
