"""A fitted isolation forest as one ONNX operator: the usual conversion, an operator a tree, takes 10 ms a row.

Liu, Ting, Zhou: Isolation Forest (ICDM 2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from detectors.isolation import expected_length
from models.batch import Array

_OPSETS, _IR = (("", 17), ("ai.onnx.ml", 3)), 8


def isolation_graph(forest: Any) -> onnx.ModelProto:
    """`x` (n, d) float32 to `scores` (n, 1): what scikit-learn's `score_samples` says.

    That is minus 2 to the power of minus the mean path length over its expectation.
    """
    columns: dict[str, Any] = {}
    for index, (tree, features) in enumerate(zip(forest.estimators_, forest.estimators_features_, strict=True)):
        for name, values in _tree(tree.tree_, features, index).items():
            columns.setdefault(name, []).extend(values)
    usual = len(forest.estimators_) * float(expected_length(np.array([forest.max_samples_]))[0])
    nodes = [
        helper.make_node("TreeEnsembleRegressor", ["x"], ["path"], domain="ai.onnx.ml", n_targets=1, **columns),
        helper.make_node("Mul", ["path", "rate"], ["exponent"]),
        helper.make_node("Pow", ["two", "exponent"], ["odd"]),
        helper.make_node("Neg", ["odd"], ["scores"]),
    ]
    constants = [helper.make_tensor("rate", TensorProto.FLOAT, [], [-1.0 / usual])]
    constants.append(helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]))
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", forest.n_features_in_]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 1]),
    ]
    graph = helper.make_graph(nodes, "scores", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid(domain, number) for domain, number in _OPSETS]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)


def _tree(tree: Any, features: Array, index: int) -> dict[str, list[Any]]:
    """One tree's nodes; a leaf holds the path's length to it and what rows that it still held would add."""
    leaf = tree.children_left < 0
    ids = np.arange(tree.node_count)
    depth = np.zeros(tree.node_count)
    for node in ids[~leaf]:  # parents come before their children
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    lengths = depth + expected_length(tree.n_node_samples)
    return {
        "nodes_treeids": [index] * len(ids),
        "nodes_nodeids": ids.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": np.where(leaf, 0, features[np.maximum(tree.feature, 0)]).tolist(),
        "nodes_values": np.where(leaf, 0.0, _rounded_down(tree.threshold)).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree.children_left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree.children_right).tolist(),
        "target_treeids": [index] * int(leaf.sum()),
        "target_nodeids": ids[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": lengths[leaf].tolist(),
    }


def _rounded_down(thresholds: Array) -> Array:
    """The largest float32 not above each: a float32 value is at most one exactly when at most the other."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
