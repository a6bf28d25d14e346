"""Estimators fitted at calibrate: what the graph says is what scikit-learn says, and what can't be kept is refused."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from detectors.base import Unsuitable, View
from detectors.laws import check_detector
from detectors.scoregraph import ScoreGraph
from detectors.sklearn import SklearnSpec
from detectors.sklearn_conversion import converted
from detectors.space import Space
from tests import tiny

CASE = tiny.image()


def spec(estimator: str, **keys: Any) -> SklearnSpec:
    return SklearnSpec(estimator=f"sklearn.{estimator}", **keys)


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("ensemble.IsolationForest", {"n_estimators": 20}),
        ("ensemble.IsolationForest", {"n_estimators": 10, "max_features": 0.5, "max_samples": 100}),
        ("neighbors.LocalOutlierFactor", {"n_neighbors": 10}),
        ("svm.OneClassSVM", {"nu": 0.1}),
        ("mixture.GaussianMixture", {"n_components": 3, "reg_covar": 1e-3}),
    ],
)
def test_keeps_the_laws_on_tables(estimator: str, parameters: dict[str, Any]) -> None:
    case = tiny.table()
    check_detector(spec(estimator, parameters=parameters), case.reference, case.rows, case.adversarial)


def test_scores_as_scikit_learn_does_the_other_way_round() -> None:
    found = spec("ensemble.IsolationForest", parameters={"n_estimators": 30, "random_state": 4})
    space = Space.fit(CASE.reference)
    z = space.coordinates(CASE.reference.view)
    forest = IsolationForest(n_estimators=30, random_state=4).fit(z)
    view = View(CASE.rows, CASE.net)
    scores = found.build(found.fit(CASE.reference), CASE.spec).score(view)
    assert scores == pytest.approx(-forest.score_samples(space.coordinates(view)), abs=1e-5)


def test_a_value_on_a_threshold_goes_the_same_way() -> None:
    """Thresholds of trees are doubles between two values; the graph's are float32."""
    rng = np.random.default_rng(0)
    rows = (rng.integers(0, 5, (500, 4)) / 7.0).astype(np.float32)
    forest = IsolationForest(n_estimators=20, random_state=0).fit(rows)
    graph = ScoreGraph(converted("sklearn.ensemble.IsolationForest", {"n_estimators": 20}, rows, 0))
    tried = rows.copy()
    for tree in forest.estimators_:
        inner = tree.tree_.feature >= 0
        for feature, threshold in zip(tree.tree_.feature[inner], tree.tree_.threshold[inner], strict=True):
            tried[rng.integers(0, 500), feature] = np.float32(threshold)
    assert graph(tried) == pytest.approx(forest.score_samples(tried), abs=1e-5)


def test_reads_the_input_if_told() -> None:
    found = spec("mixture.GaussianMixture", parameters={"reg_covar": 0.1}, reads="input")
    arrays = found.fit(CASE.reference)
    assert not arrays["space_features"]
    assert "GaussianMixture on the standardised input, an ONNX graph of" in found.notes(arrays, CASE.spec)[0]
    with pytest.raises(Unsuitable, match="`reads: features`: the model has no penultimate features"):
        spec("svm.OneClassSVM", reads="features").fit(CASE.with_net(features=False).reference)


def test_fits_on_some_rows_only() -> None:
    found = spec("neighbors.LocalOutlierFactor", keep=50)
    few, many = (s.fit(CASE.reference)["graph"].nbytes for s in (found, spec("neighbors.LocalOutlierFactor")))
    assert few < many / 10


def test_the_score_needs_no_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = spec("ensemble.IsolationForest", parameters={"n_estimators": 5})
    arrays = found.fit(CASE.reference)
    for name in [name for name in sys.modules if name.split(".")[0] in ("sklearn", "skl2onnx")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert found.build(arrays, CASE.spec).score(View(CASE.rows, CASE.net)).shape == (200,)


@pytest.mark.parametrize(
    ("estimator", "parameters", "says"),
    [
        ("ensemble.NoForest", {}, "sklearn.ensemble has no estimator 'NoForest'"),
        ("ensemble.IsolationForest", {"trees": 3}, "can't be fitted: .* unexpected keyword argument 'trees'"),
        ("neighbors.KernelDensity", {}, "can't be kept as an ONNX graph: skl2onnx: Unable to find"),
        ("svm.SVC", {}, "sklearn.svm.SVC can't be fitted"),
        ("neighbors.NearestNeighbors", {}, "scores no rows: expected an outlier detector or a density"),
    ],
)
def test_is_refused(estimator: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(Unsuitable, match=says):
        spec(estimator, parameters=parameters).fit(CASE.reference)


@pytest.mark.parametrize(
    "path", ["os.system", "sklearn.utils.Bunch", "sklearn.ensemble", "sklearn.ensemble._iforest.X"]
)
def test_other_modules_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"expected sklearn\.<module>\.<Class>, the module one of covariance, "):
        SklearnSpec(estimator=path)


def test_a_graph_that_scores_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = LocalOutlierFactor.score_samples
    monkeypatch.setattr(LocalOutlierFactor, "score_samples", lambda self, x: real(self, x) ** 2)
    monkeypatch.setattr(LocalOutlierFactor, "decision_function", lambda self, x: real(self, x) ** 3)
    with pytest.raises(Unsuitable, match=r"the converted score_samples is off by .* of its spread"):
        spec("neighbors.LocalOutlierFactor").fit(CASE.reference)
