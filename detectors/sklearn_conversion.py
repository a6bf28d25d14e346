"""Fits a scikit-learn estimator and writes its scores as an ONNX graph. Needs scikit-learn and skl2onnx."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.base import BaseEstimator
from sklearn.ensemble import IsolationForest

from defenses.base import Unsuitable
from detectors.isolation_graph import isolation_graph
from detectors.scoregraph import ScoreGraph
from models.batch import Array

TOLERANCE = 1e-3  # between the graph's scores and scikit-learn's, of the scores' spread
_OPSET = {"": 17, "ai.onnx.ml": 3}
_COMPARED = 1000  # rows
# Which output of a conversion holds what an estimator's method says.
_OUTPUTS = (("score_samples", "score_samples"), ("scores", "decision_function"), ("scores", "score_samples"))


def converted(path: str, parameters: Mapping[str, Any], rows: Array, seed: int) -> Array:
    """The graph as bytes (uint8), input (n, d) float32, of the estimator fitted on `rows` (m, d).

    Raises:
        Unsuitable: as `detectors.sklearn.SklearnSpec.fit`.
    """
    estimator = _fitted(path, parameters, rows, seed)
    compared = rows[:_COMPARED]
    told = []
    for output, method in _OUTPUTS:
        if not hasattr(estimator, method):
            continue
        graph = _graph(estimator, output, rows.shape[1])
        if isinstance(graph, str):
            told.append(graph)
            continue
        content = np.frombuffer(graph.SerializeToString(), dtype=np.uint8).copy()
        wanted = np.asarray(getattr(estimator, method)(compared), dtype=np.float64).ravel()
        gap = np.abs(ScoreGraph(content, None, path)(compared) - wanted).max() / max(float(wanted.std()), 1e-12)
        if gap <= TOLERANCE:
            return content
        told.append(f"the converted {method} is off by {gap:.2g} of its spread")
    raise Unsuitable(f"{path} can't be kept as an ONNX graph: {'; '.join(dict.fromkeys(told))}")


def _fitted(path: str, parameters: Mapping[str, Any], rows: Array, seed: int) -> Any:
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name, None)
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise Unsuitable(f"{module} has no estimator {name!r}")
    values = dict(parameters)
    known = found().get_params() if _has_defaults(found) else {}
    if "novelty" in known:  # else LocalOutlierFactor scores only the rows it was fitted on
        values["novelty"] = True
    if "random_state" in known:
        values.setdefault("random_state", seed)
    try:
        estimator = found(**values).fit(rows)
    except (TypeError, ValueError) as error:
        raise Unsuitable(f"{path} can't be fitted: {' '.join(str(error).split())}") from error
    if hasattr(estimator, "classes_") or not any(hasattr(estimator, method) for _, method in _OUTPUTS):
        raise Unsuitable(f"{path} scores no rows: expected an outlier detector or a density, fitted without labels")
    return estimator


def _has_defaults(found: type[Any]) -> bool:
    try:
        found()
    except TypeError:
        return False
    return True


def _graph(estimator: Any, output: str, width: int) -> onnx.ModelProto | str:
    """The converted graph with only this output, or why there is none."""
    if isinstance(estimator, IsolationForest):
        return isolation_graph(estimator)
    options = {id(estimator): {"score_samples": True}} if output == "score_samples" else None
    try:
        model = convert_sklearn(
            estimator,
            "scores",  # its default is a random name
            initial_types=[("x", FloatTensorType([None, width]))],
            options=options,
            target_opset=_OPSET,
        )
        picked: onnx.ModelProto = select_model_inputs_outputs(model, outputs=[output])
    except Exception as error:  # skl2onnx raises errors of many kinds, none with a base
        return f"skl2onnx: {' '.join(str(error).split())[:200]}"
    _rename(picked.graph, {name.name: name.name for name in (*picked.graph.input, *picked.graph.output)})
    return picked


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Numbers all tensors and nodes in order: skl2onnx goes on counting from one conversion to the next."""

    def new(name: str) -> str:
        return names.setdefault(name, f"t{len(names)}") if name else ""

    for tensor in graph.initializer:
        tensor.name = new(tensor.name)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = new(value.name)
    for index, node in enumerate(graph.node):
        node.name = f"{node.op_type}{index}"
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _rename(inner, names)
