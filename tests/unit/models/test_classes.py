"""Which output holds the classes, and as what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from models.backend import Outputs, TensorSpec
from models.classes import Ending, check_run, recognize_classes
from models.errors import ModelError
from models.specs import OutputConfig

P = np.array([[0.2, 0.8], [1.0, 0.0]], np.float32)
Z = np.array([[0.2, 0.9], [1.0, -4.0]], np.float32)


def spec(name: str, *shape: int, datatype: str = "FP32") -> TensorSpec:
    return TensorSpec(name, datatype, (-1, *shape))


@pytest.mark.parametrize(
    ("ending", "values", "kind"),
    [
        ("softmax", None, "probabilities"),
        ("log_softmax", None, "logits"),
        ("linear", None, "logits"),
        ("classifier", None, "probabilities"),
        ("classifier", Z, "logits"),
        ("other", P, "probabilities"),
        ("other", Z, "logits"),
        ("regressor", Z, "none"),
    ],
)
def test_kind(ending: Ending, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, kind: str) -> None:
    sample = None if values is None else {"y": values}
    assert recognize_classes(OutputConfig(), [spec("y", 2)], {"y": ending}, sample).kind == kind


@pytest.mark.parametrize(
    ("ending", "width"), [("other", 2), ("sigmoid", 5), ("linear", 1), ("other", 1)], ids=lambda value: str(value)
)
def test_what_can_not_be_told_names_the_key(ending: Ending, width: int) -> None:
    with pytest.raises(ModelError, match=r"outputs\.kind"):
        recognize_classes(OutputConfig(), [spec("y", width)], {"y": ending}, None)


@pytest.mark.parametrize(
    ("outputs", "endings", "name"),
    [
        ([spec("label", datatype="INT64"), spec("p", 3)], {"label": "other", "p": "softmax"}, "p"),
        ([spec("embedding", 9), spec("y", 3)], {"embedding": "other", "y": "linear"}, "y"),
        ([spec("logits", 3), spec("p", 3)], {"logits": "linear", "p": "softmax"}, "logits"),
        ([spec("mask", 8, 8)], {"mask": "softmax"}, None),
        ([spec("label", datatype="INT64")], {"label": "other"}, None),
    ],
)
def test_which_output(outputs: list[TensorSpec], endings: Mapping[str, Ending], name: str | None) -> None:
    assert recognize_classes(OutputConfig(), outputs, endings, None).logits == name


def test_two_that_could_be_are_named() -> None:
    with pytest.raises(ModelError, match=r"outputs\.logits: .*\['a', 'b'\]"):
        recognize_classes(OutputConfig(), [spec("a", 3), spec("b", 2)], {"a": "linear", "b": "linear"}, None)


def test_what_is_stated_is_kept() -> None:
    config = OutputConfig(logits="a", kind="probabilities")
    assert recognize_classes(config, [spec("a", 3)], {"a": "linear"}, {"a": Z}) == config
    none = OutputConfig(kind="none")
    assert recognize_classes(none, [spec("a", 3)], {"a": "softmax"}, None) == none


def test_a_run_has_as_many_rows_as_went_in() -> None:
    check_run(Outputs({"y": P}, P, P), 2)
    with pytest.raises(ModelError, match="y: expected 3 rows"):
        check_run(Outputs({"y": P}), 3)
    with pytest.raises(ModelError, match="features: expected 2 rows"):
        check_run(Outputs({"y": P}, P, np.zeros((1, 4))), 2)
