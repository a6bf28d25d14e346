"""What scikit-learn's models become, and the ai.onnx.ml operators they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

from models.batch import Array
from models.gradients import TOLERANCE, UnsupportedGraph, differentiable, unsupported, verify

Check = Callable[..., None]
Normal = Callable[..., Array]


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array]:
    x, y = make_classification(400, 8, n_informative=6, n_classes=3, random_state=0)
    return x.astype(np.float32), y


def converted(estimator: Any, x: Array, y: Array, **more: Any) -> onnx.ModelProto:
    """The fitted estimator as ONNX."""
    model: onnx.ModelProto = to_onnx(estimator.fit(x, y), x[:1], options={"zipmap": False}, **more)
    return model


@pytest.mark.parametrize("target_opset", [13, 17, 21])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_a_network_of_scikit_learn(data: tuple[Array, Array], activation: str, target_opset: int) -> None:
    x, y = data
    network = MLPClassifier((16, 8), activation=activation, max_iter=20, tol=1.0, random_state=0)
    estimator = make_pipeline(StandardScaler(), network)
    model = converted(estimator, x, y, target_opset=target_opset)
    module = differentiable(model)
    assert module.output_names == ("probabilities",)
    assert verify(module, model, x) <= TOLERANCE
    rows = torch.tensor(x[:20], requires_grad=True)
    module(rows)[:, 1].sum().backward()
    assert rows.grad is not None
    step = 1e-2
    for column in range(3):
        moved = np.zeros_like(x[:20])
        moved[:, column] = step
        slope = (estimator.predict_proba(x[:20] + moved) - estimator.predict_proba(x[:20] - moved))[:, 1] / (2 * step)
        np.testing.assert_allclose(rows.grad[:, column].numpy(), slope, atol=0.02)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), Normalizer("l1"), Normalizer("max")])
def test_linear_models(data: tuple[Array, Array], classes: int, scaler: Any) -> None:
    x, y = data
    model = converted(make_pipeline(scaler, LogisticRegression()), x, y % classes)
    module = differentiable(model, [value.name for value in model.graph.output])
    assert verify(module, model, x) <= TOLERANCE


def test_labels_that_are_texts_need_not_be_computed(data: tuple[Array, Array]) -> None:
    x, y = data
    model = converted(LogisticRegression(), x, np.array(["a", "b", "c"])[y])
    assert verify(differentiable(model), model, x) <= TOLERANCE


def test_a_ridge_classifier(data: tuple[Array, Array]) -> None:
    x, y = data
    model = converted(RidgeClassifier(), x, y)
    assert verify(differentiable(model), model, x) <= TOLERANCE


def test_trees_have_no_gradient(data: tuple[Array, Array]) -> None:
    x, y = data
    model = converted(RandomForestClassifier(3, max_depth=3), x, y)
    (reason,) = unsupported(model)
    assert reason.startswith("TreeEnsembleClassifier (ai.onnx.ml ")
    with pytest.raises(UnsupportedGraph, match="TreeEnsembleClassifier"):
        differentiable(model)


ML = {"domain": "ai.onnx.ml"}


@pytest.mark.parametrize("post_transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_linear_classifier(check: Check, normal: Normal, rows: int, post_transform: str) -> None:
    attributes = {
        "coefficients": normal(rows, 4).ravel().tolist(),
        "intercepts": normal(rows).tolist(),
        "classlabels_ints": list(range(5, 5 + max(rows, 2))),
        "post_transform": post_transform,
    }
    check("LinearClassifier", [normal(6, 4)], outputs=2, **ML, **attributes)


@pytest.mark.parametrize("targets", [1, 3])
def test_linear_regressor(check: Check, normal: Normal, targets: int) -> None:
    attributes = {"coefficients": normal(targets, 4).ravel().tolist(), "intercepts": normal(targets).tolist()}
    check("LinearRegressor", [normal(6, 4)], targets=targets, **ML, **attributes)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(check: Check, normal: Normal, norm: str) -> None:
    check("Normalizer", [np.abs(normal(5, 4)) + 0.1], norm=norm, gradient=False, **ML)


def test_scaler(check: Check, normal: Normal) -> None:
    check("Scaler", [normal(5, 3)], offset=[0.5], scale=[2.0], **ML)
    check("Scaler", [normal(5, 3)], offset=normal(3).tolist(), scale=normal(3).tolist(), **ML)


@pytest.mark.parametrize("missing", [-1.0, float("nan")])
def test_imputer(check: Check, normal: Normal, missing: float) -> None:
    x = normal(5, 3)
    x[1, 2] = x[4, 0] = missing
    check("Imputer", [x], imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=missing, **ML)


def test_columns(check: Check, normal: Normal) -> None:
    check("ArrayFeatureExtractor", [normal(5, 4), np.array([2, 0])], fixed=(1,), **ML)
    check("FeatureVectorizer", [normal(5, 4), normal(5, 2)], inputdimensions=[4, 2], **ML)
