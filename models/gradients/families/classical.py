"""Operators of the ai.onnx.ml domain that scikit-learn's linear models, scalers and networks become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator

Floats = Sequence[float]


def transform(scores: Tensor, name: str) -> Tensor:
    """What a classifier or regressor does to its scores in the end."""
    transforms: dict[str, Callable[[Tensor], Tensor]] = {
        "NONE": lambda s: s,
        "LOGISTIC": torch.sigmoid,
        "SOFTMAX": lambda s: torch.softmax(s, -1),
    }
    return transforms[name](scores)


def linear_classifier(
    x: Tensor,
    *,
    coefficients: Floats,
    intercepts: Floats | None = None,
    classlabels_ints: Sequence[int] | None = None,
    classlabels_strings: Sequence[str] | None = None,
    post_transform: str = "NONE",
) -> tuple[Tensor, Tensor]:
    """Labels and scores, (n,) and (n, classes). The label of texts is their index."""
    rows = x.float()
    weights = rows.new_tensor(coefficients).reshape(-1, rows.shape[-1])
    bias = None if intercepts is None else rows.new_tensor(intercepts)
    scores = functional.linear(rows, weights, bias)
    if len(weights) == 1:  # the second class's score alone; onnxruntime applies no softmax to it
        best = (scores[:, 0] > 0).long()
        second = torch.sigmoid(scores) if post_transform == "LOGISTIC" else scores
        scores = torch.cat([1 - second, second], -1)
    else:
        best = scores.argmax(-1)
        scores = transform(scores, post_transform)
    labels = best if not classlabels_ints else torch.tensor(classlabels_ints, device=x.device)[best]
    return labels, scores


def linear_regressor(
    x: Tensor, *, coefficients: Floats, intercepts: Floats | None = None, post_transform: str = "NONE", targets: int = 1
) -> Tensor:
    """Targets (n, targets)."""
    rows = x.float()
    bias = None if intercepts is None else rows.new_tensor(intercepts)
    return transform(functional.linear(rows, rows.new_tensor(coefficients).reshape(targets, -1), bias), post_transform)


def scaler(x: Tensor, *, offset: Floats, scale: Floats) -> Tensor:
    """(x - offset) * scale, for all columns or one by one."""
    rows = x.float()
    return (rows - rows.new_tensor(offset)) * rows.new_tensor(scale)


def normalizer(x: Tensor, *, norm: str = "MAX") -> Tensor:
    """Rows over their largest value, sum of magnitudes or length; zero rows stay."""
    rows = x.float()
    sizes = {
        "MAX": lambda r: r.amax(-1, keepdim=True),
        "L1": lambda r: r.abs().sum(-1, keepdim=True),
        "L2": lambda r: torch.linalg.vector_norm(r, dim=-1, keepdim=True),
    }[norm](rows)
    return rows / torch.where(sizes == 0, 1.0, sizes)


def take_columns(x: Tensor, columns: Tensor) -> Tensor:
    """Values of the last axis at these indices."""
    found = x.index_select(-1, columns.long().reshape(-1))
    return found.reshape(1, -1) if x.dim() == 1 else found


def imputer(x: Tensor, *, imputed_value_floats: Floats, replaced_value_float: float = 0.0) -> Tensor:
    """Values in place of those that stand for a missing one."""
    missing = torch.isnan(x) if replaced_value_float != replaced_value_float else x == replaced_value_float
    return torch.where(missing, x.new_tensor(imputed_value_floats), x)


def columns_together(*tensors: Tensor, inputdimensions: Any = None) -> Tensor:
    """Columns side by side."""
    return torch.cat([t.float().reshape(len(t), -1) for t in tensors], -1)


KNOWN = {"post_transform": ("NONE", "LOGISTIC", "SOFTMAX")}

TABLE = {
    "ArrayFeatureExtractor": Operator(take_columns),
    "FeatureVectorizer": Operator(columns_together),
    "Imputer": Operator(imputer),
    "LinearClassifier": Operator(linear_classifier, allowed=KNOWN, ignored=("multi_class",), outputs=2),
    "LinearRegressor": Operator(linear_regressor, allowed=KNOWN),
    "Normalizer": Operator(normalizer),
    "Scaler": Operator(scaler),
}
