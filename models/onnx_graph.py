"""Reading and editing an ONNX graph: plain outputs, what it ends in, and the layer before its logits."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from models.classes import Ending
from models.errors import ModelError
from models.onnx_screening import read_onnx
from models.penultimate import Role, is_only_scaled, penultimate

__all__ = ["Graph", "plain_outputs"]

# Layers with weights: the one non-constant input of the last of them is the penultimate layer.
LINEAR = frozenset(
    {"Gemm", "MatMul", "Conv", "FusedGemm", "FusedMatMul", "FusedConv", "QGemm", "QLinearMatMul", "QLinearConv"}
    | {"MatMulInteger", "ConvInteger", "MatMulNBits", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
)
CONVOLUTIONS = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
# Operators that only hand on, rescale or reshape what the last layer made.
THROUGH = frozenset(
    {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "Clip", "Concat"}
    | {"Softmax", "LogSoftmax", "Sigmoid", "Add", "Sub", "Mul", "Div", "BatchNormalization", "Log", "Normalizer"}
    | {"GlobalAveragePool", "AveragePool", "ReduceMean", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
    | {"Scaler", "Imputer", "FeatureVectorizer", "OneHotEncoder", "ArrayFeatureExtractor"}
)
# Operators that change neither the values nor which axis holds the classes.
SAME_VALUES = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"})

ENDINGS: dict[str, Ending] = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    **dict.fromkeys(("TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"), "classifier"),
    **dict.fromkeys(("TreeEnsembleRegressor", "LinearRegressor", "SVMRegressor", "LpNormalization"), "regressor"),
    **dict.fromkeys((*LINEAR, "Add", "GlobalAveragePool", "ReduceMean"), "linear"),
}

POOLED = "watchgate_features"


class Graph:
    """Who makes and who reads each tensor of a graph, and which tensors are constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        graph = model.graph
        self.output_names = tuple(value.name for value in graph.output)
        self.constants = {tensor.name for tensor in graph.initializer}
        self.constants |= {tensor.values.name for tensor in graph.sparse_initializer}

        self.makers: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            self._add(node)

    @staticmethod
    def read(path: Path) -> Graph:
        """The screened graph of a file, with plain outputs.

        Raises:
            ModelError: the file is missing, unsafe or not ONNX.
        """
        model = read_onnx(path)
        plain_outputs(model)
        return Graph(model)

    def _add(self, node: onnx.NodeProto) -> None:
        if all(name in self.constants or not name for name in node.input) and not _is_random(node):
            self.constants.update(node.output)
        for name in node.output:
            self.makers[name] = node
        for name in node.input:
            self.readers.setdefault(name, []).append(node)

    def ending(self, name: str) -> Ending:
        """What the operator that made a tensor's values says of them."""
        while (node := self.makers.get(name)) is not None and node.op_type in SAME_VALUES:
            name = node.input[0]
        return ENDINGS.get(node.op_type, "other") if node is not None else "other"

    def is_embedded(self, name: str) -> bool:
        """Whether an input's values are used as indices into a table of weights."""
        for node in self.readers.get(name, ()):
            if node.op_type == "Gather" and node.input[0] in self.constants and node.input[1] == name:
                return True
            if node.op_type in SAME_VALUES and any(self.is_embedded(output) for output in node.output):
                return True
        return False

    def penultimate(self, logits: str) -> str | None:
        """The tensor that the last layer reads on the way to the logits; None for trees and linear models."""
        return penultimate(logits, self._role, self._sources)

    def is_learned(self, name: str) -> bool:
        """Whether more than scaling lies between the inputs and a tensor."""
        return not is_only_scaled(name, self._role, self._sources)

    def _role(self, name: str) -> Role:
        node = self.makers.get(name)
        if node is None:
            return "start"
        if node.op_type in LINEAR:
            return "layer"
        return "through" if node.op_type in THROUGH else "stop"

    def _sources(self, name: str) -> list[str]:
        """The tensors that a tensor was made from, constants left out."""
        return [source for source in self.makers[name].input if source and source not in self.constants]

    def expose(self, name: str) -> str:
        """Makes a tensor an output too. Returns the output's name.

        Raises:
            ModelError: the graph has no such tensor.
        """
        if name not in self.makers:
            raise ModelError(f"features, outputs.logits: expected the name of a tensor in the graph, found {name!r}")
        if name not in {value.name for value in self.model.graph.output}:
            self.model.graph.output.append(onnx.ValueInfoProto(name=name))  # onnxruntime infers its type
        return name

    def expose_features(self, name: str) -> str:
        """Makes the penultimate layer an output, the mean over space where a convolution reads it (n, d, ...)."""
        readers = self.readers.get(name, ())
        if not any(node.op_type in CONVOLUTIONS or node.op_type == "GlobalAveragePool" for node in readers):
            return self.expose(name)
        self.model.graph.node.extend(
            [
                helper.make_node("GlobalAveragePool", [name], [f"{POOLED}_mean"]),
                helper.make_node("Flatten", [f"{POOLED}_mean"], [POOLED], axis=1),
            ]
        )
        self.model.graph.output.append(onnx.ValueInfoProto(name=POOLED))
        return POOLED


def plain_outputs(model: onnx.ModelProto) -> None:
    """Makes ZipMap's dictionaries the plain tensor they were made of, and drops other sequences and maps.

    Raises:
        ModelError: no tensor is left to answer with.
    """
    zipped = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap"}
    for value in model.graph.output:
        node = zipped.get(value.name)
        if node is not None:
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [None, _classes(node)]))
    for node in zipped.values():
        node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1], name=node.name))
    if zipped and not any(opset.domain in ("", "ai.onnx") for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", 13))
    for value in list(model.graph.output):
        if value.type.WhichOneof("value") in ("sequence_type", "map_type", "optional_type"):
            model.graph.output.remove(value)
    if not model.graph.output:
        raise ModelError("model: expected at least one output that is a tensor, found only sequences and maps")


def _classes(zipmap: onnx.NodeProto) -> int | None:
    for attribute in zipmap.attribute:
        if attribute.name == "classlabels_int64s":
            return len(attribute.ints)
        if attribute.name == "classlabels_strings":
            return len(attribute.strings)
    return None


def _is_random(node: onnx.NodeProto) -> bool:
    return node.op_type.startswith(("Random", "Bernoulli", "Multinomial"))
