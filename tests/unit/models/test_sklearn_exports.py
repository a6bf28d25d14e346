"""scikit-learn models as skl2onnx exports them: one input per column, ZipMap, string labels, trees."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from models.batch import Array, Arrays
from models.errors import ModelError
from models.specs import InputConfig, OnnxSpec, OutputConfig, load_model, resolve

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 5)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)


def export(path: Path, model: Any, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(to_onnx(model, target_opset={"": 17, "ai.onnx.ml": 3}, **options).SerializeToString())
    return path


def answers(path: Path, feeds: Arrays) -> dict[str, Any]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def table(zipped: list[dict[Any, float]]) -> Array:
    return np.array([list(row.values()) for row in zipped], dtype=np.float32)


CLASSIFIERS = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "boosted": lambda: GradientBoostingClassifier(n_estimators=5),
    "network": lambda: make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=20)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_answer_with_plain_tensors(name: str, classes: int, tmp_path: Path) -> None:
    labels = np.minimum(Y, classes - 1)
    path = export(tmp_path / "m.onnx", CLASSIFIERS[name]().fit(X, labels), X=X[:1])
    resolved = resolve(OnnxSpec(path=path), X)
    assert resolved.outputs == OutputConfig(logits="output_probability", kind="probabilities")
    assert (resolved.features != "none") == (name == "network")
    model = load_model(resolved)
    assert [(t.name, t.datatype) for t in model.outputs] == [("output_label", "INT64"), ("output_probability", "FP32")]
    outputs = model.predict(model.join({"X": X}))
    expected = answers(path, {"X": X})
    np.testing.assert_array_equal(outputs.tensors["output_label"], expected["output_label"])
    np.testing.assert_allclose(outputs.tensors["output_probability"], table(expected["output_probability"]), atol=1e-6)
    assert outputs.logits is not None
    assert outputs.logits.shape == (200, classes)
    np.testing.assert_allclose(np.exp(outputs.logits), outputs.tensors["output_probability"], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_string_labels_pass_through(tmp_path: Path) -> None:
    labels = np.array(["low", "middle", "high"])[Y]
    path = export(tmp_path / "m.onnx", LogisticRegression().fit(X, labels), X=X[:1])
    model = load_model(resolve(OnnxSpec(path=path), X))
    outputs = model.predict(model.join({"X": X[:9]}))
    assert outputs.tensors["output_label"].tolist() == answers(path, {"X": X[:9]})["output_label"].tolist()
    assert model.outputs[0].datatype == "BYTES"


@pytest.mark.filterwarnings("ignore")
def test_one_input_per_column_is_guarded_as_one_table(tmp_path: Path) -> None:
    age, income, city = RNG.integers(18, 90, 200), RNG.standard_normal(200), RNG.choice(["Bern", "Genf"], 200)
    rows = np.empty((200, 3), dtype=object)
    rows[:, 0], rows[:, 1], rows[:, 2] = age, income.astype(np.float32), city
    encode = ColumnTransformer([("n", StandardScaler(), [0, 1]), ("c", OneHotEncoder(), [2])])
    fitted = make_pipeline(encode, LogisticRegression()).fit(rows, age > 50)
    kinds = [("age", Int64TensorType([None, 1])), ("income", FloatTensorType([None, 1]))]
    path = export(tmp_path / "m.onnx", fitted, initial_types=[*kinds, ("city", StringTensorType([None, 1]))])
    feeds: dict[str, Array] = {
        "age": age[:, None],
        "income": income[:, None].astype(np.float32),
        "city": rows[:, 2:],
    }
    x = np.concatenate([feeds["age"], feeds["income"]], axis=1)
    resolved = resolve(OnnxSpec(path=path), x, extras={"city": feeds["city"]})
    assert resolved.guard == ("age", "income")
    model = load_model(resolved)
    assert model.spec.columns == ("age", "income")
    assert (model.spec.kind, model.spec.shape, model.spec.dtype) == ("table", (2,), np.dtype(np.float64))
    batch = model.join(feeds)
    np.testing.assert_array_equal(batch.x, x)
    outputs = model.predict(batch)
    expected = answers(path, feeds)
    np.testing.assert_array_equal(outputs.tensors["output_label"], expected["output_label"])
    np.testing.assert_allclose(outputs.tensors["output_probability"], table(expected["output_probability"]), atol=1e-6)
    nudged = model.predict(batch.with_x(batch.x + np.array([0.2, 0.0])))  # whole years again
    np.testing.assert_array_equal(nudged.tensors["output_probability"], outputs.tensors["output_probability"])
    one = load_model(resolve(OnnxSpec(path=path, guard=("income",)), feeds["income"], extras=feeds))
    np.testing.assert_array_equal(
        one.predict(one.join(feeds)).tensors["output_probability"], outputs.tensors["output_probability"]
    )


@pytest.mark.filterwarnings("ignore")
def test_regressors_are_known_as_models_without_classes(tmp_path: Path) -> None:
    path = export(tmp_path / "m.onnx", GradientBoostingRegressor(n_estimators=3).fit(X, X[:, 0]), X=X[:1])
    spec = resolve(OnnxSpec(path=path), X)
    assert spec.outputs == OutputConfig(kind="none")
    model = load_model(spec)
    outputs = model.predict(model.join({"X": X}))
    np.testing.assert_allclose(outputs.tensors["variable"], answers(path, {"X": X})["variable"], atol=1e-6)
    assert outputs.logits is None


@pytest.mark.filterwarnings("ignore")
def test_missing_values_reach_the_imputer(tmp_path: Path) -> None:
    x = X.copy()
    x[::3, 0] = np.nan
    boosted = make_pipeline(SimpleImputer(), GradientBoostingClassifier(n_estimators=5)).fit(x, Y)
    path = export(tmp_path / "m.onnx", boosted, X=X[:1])
    model = load_model(resolve(OnnxSpec(path=path, input=InputConfig(missing="allow")), x))
    outputs = model.predict(model.join({"X": x}))
    expected = table(answers(path, {"X": x})["output_probability"])
    np.testing.assert_allclose(outputs.tensors["output_probability"], expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_answers_only_with_dictionaries_of_strings_still_has_a_tensor(tmp_path: Path) -> None:
    path = export(tmp_path / "m.onnx", LogisticRegression().fit(X, Y), X=X[:1])
    model = onnx.load(str(path))
    label = next(output for output in model.graph.output if output.name == "output_label")
    model.graph.output.remove(label)
    path.write_bytes(model.SerializeToString())
    assert [tensor.name for tensor in load_model(resolve(OnnxSpec(path=path), X)).outputs] == ["output_probability"]


def test_a_wrong_number_of_column_names_is_an_error(tmp_path: Path) -> None:
    path = export(tmp_path / "m.onnx", GradientBoostingRegressor(n_estimators=2).fit(X, X[:, 0]), X=X[:1])
    with pytest.raises(ModelError, match=r"input\.columns: expected 5 names, found 2"):
        resolve(OnnxSpec(path=path, input=InputConfig(columns=("a", "b"))), X)
