"""What callers see of the model's classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import softmax

from gateway.disclosure import AnswerPolicy, Disclosure, HighConfidenceOnly, LabelsOnly, Round, TopK
from gateway.errors import OperatorError
from models.backend import TensorSpec
from models.batch import Array
from models.specs import OutputConfig

P = np.array([[0.123, 0.277, 0.6], [0.4, 0.4, 0.2]], dtype=np.float32)
LOGITS = np.array([[1.234, -2.0, 0.5], [3.0, 3.004, 2.0]], dtype=np.float32)
LOWEST = float(np.finfo(np.float32).min)


def told(values: Array, *policies: AnswerPolicy, kind: str = "probabilities") -> Array:
    classes = OutputConfig(logits="y", kind=kind)  # type: ignore[arg-type]
    outputs = [TensorSpec("y", "FP32", (-1, *values.shape[1:])), TensorSpec("label", "INT64", (-1,))]
    disclosure = Disclosure.of(policies, classes, outputs)
    assert disclosure is not None
    before = values.copy()
    found = disclosure.apply({"y": values, "label": np.arange(len(values))})
    assert np.array_equal(values, before, equal_nan=True)
    assert list(found) == ["y", "label"]
    assert found["y"].dtype == values.dtype
    assert found["y"].shape == values.shape
    return found["y"]


def test_round() -> None:
    assert told(P, Round(digits=1)).tolist() == np.array([[0.1, 0.3, 0.6], [0.4, 0.4, 0.2]], np.float32).tolist()
    assert np.allclose(told(LOGITS, Round(digits=0), kind="logits"), [[1, -2, 0], [3, 3, 2]])


def test_top_k() -> None:
    assert np.allclose(told(P, TopK(k=1)), [[0, 0, 0.6], [0.4, 0, 0]])
    assert np.allclose(told(P, TopK(k=2)), [[0, 0.277, 0.6], [0.4, 0.4, 0]])
    assert np.allclose(told(P, TopK(k=9)), P)
    found = told(LOGITS, TopK(k=2), kind="logits")
    assert found[0].tolist() == [float(LOGITS[0, 0]), LOWEST, 0.5]
    assert softmax(found[0])[1] == 0.0


def test_labels_only() -> None:
    assert told(P, LabelsOnly()).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert softmax(told(LOGITS, LabelsOnly(), kind="logits"), axis=1).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_high_confidence_only() -> None:
    assert np.allclose(told(P, HighConfidenceOnly(cutoff=0.5)), [[0.0, 0.0, 0.6], [0.0, 0.0, 0.0]])
    found = told(LOGITS, HighConfidenceOnly(cutoff=0.6), kind="logits")
    assert found.tolist() == [[float(LOGITS[0, 0]), LOWEST, LOWEST], [LOWEST] * 3]


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_score_of_two_classes(shape: tuple[int, ...]) -> None:
    p = np.array([0.123, 0.5, 0.9], dtype=np.float32).reshape(shape)
    assert told(p, LabelsOnly()).ravel().tolist() == [0, 1, 1]
    assert np.allclose(told(p, HighConfidenceOnly(cutoff=0.8)).ravel(), [0.123, 0.5, 0.9])
    assert np.allclose(told(p, HighConfidenceOnly(cutoff=0.89)).ravel(), [0.5, 0.5, 0.9])
    logits = np.array([-3.0, 0.1, 2.0], dtype=np.float32).reshape(shape)
    assert np.sign(told(logits, LabelsOnly(), kind="logits")).ravel().tolist() == [-1, 1, 1]
    assert told(logits, HighConfidenceOnly(cutoff=0.8), kind="logits").ravel().tolist() == [-3.0, 0.0, 2.0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("first", [TopK(), LabelsOnly(), HighConfidenceOnly(cutoff=0.9)])
def test_what_is_withheld_stays_so_when_rounded(dtype: str, first: AnswerPolicy) -> None:
    logits = LOGITS.astype(dtype)
    once = told(logits, first, kind="logits")
    assert np.isfinite(once).all()
    assert np.array_equal(told(once, Round(digits=6), kind="logits") == once.min(), once == once.min())


def test_policies_apply_in_order() -> None:
    assert np.allclose(told(P, Round(digits=1), HighConfidenceOnly(cutoff=0.3)), [[0, 0.3, 0.6], [0.4, 0.4, 0]])
    assert np.allclose(told(P, HighConfidenceOnly(cutoff=0.3), Round(digits=1)), [[0, 0, 0.6], [0.4, 0.4, 0]])


def test_no_rows() -> None:
    for policy in (Round(), TopK(), LabelsOnly(), HighConfidenceOnly()):
        assert told(P[:0], policy).shape == (0, 3)


def test_a_row_that_is_no_number_stays_so() -> None:
    x = np.array([[np.nan, 0.5, 0.5], [0.0, 0.0, 1.0]], dtype=np.float32)
    for policy in (Round(), TopK(), LabelsOnly(), HighConfidenceOnly()):
        found = told(x, policy)
        assert np.isnan(found[0]).all()
        assert found[1].tolist() == [0.0, 0.0, 1.0]


Y, EMBEDDING = TensorSpec("y", "FP32", (-1, 3)), TensorSpec("embedding", "FP32", (-1, 64))


@pytest.mark.parametrize(
    ("classes", "outputs", "policy", "says"),
    [
        (OutputConfig(kind="none"), [Y], Round(), r"class outputs, found `outputs\.kind: none`"),
        (OutputConfig(logits="fc", kind="logits"), [Y], Round(), r"that callers get \(y\), found 'fc'"),
        (OutputConfig(logits="y", kind="logits"), [Y, EMBEDDING], Round(), "'embedding' holds real numbers too"),
        (
            OutputConfig(logits="y", kind="probabilities"),
            [TensorSpec("y", "FP32", (-1, 1))],
            TopK(),
            "one score of two classes",
        ),
    ],
)
def test_a_model_that_it_can_not_work_on_is_refused(
    classes: OutputConfig, outputs: Sequence[TensorSpec], policy: AnswerPolicy, says: str
) -> None:
    with pytest.raises(OperatorError, match=rf"^answers: .*{says}"):
        Disclosure.of([policy], classes, outputs)


def test_without_policies_there_is_nothing_to_refuse() -> None:
    assert Disclosure.of((), OutputConfig(kind="none"), [Y, EMBEDDING]) is None
