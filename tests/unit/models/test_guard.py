"""Which inputs are guarded, and how several become one table."""

from __future__ import annotations

import numpy as np
import pytest

from models.backend import TensorSpec
from models.batch import Batch
from models.errors import ModelError
from models.guard import Guard


def test_a_single_input_is_handed_on_as_it_is() -> None:
    guard = Guard.of([TensorSpec("x", "FP32", (-1, 4))], ())
    x = np.zeros((2, 4), np.float32)
    assert guard.join({"x": x}).x is x
    assert guard.split(Batch(x))["x"] is x


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        ([("a", "FP32", (-1, 1)), ("b", "INT64", (-1, 1)), ("s", "BYTES", (-1, 1))], ("a", "b")),
        ([("x", "FP32", (-1, 4)), ("s", "BYTES", (-1, 1))], ("x",)),
        ([("x", "FP32", (-1, 3, 8, 8))], ("x",)),
    ],
)
def test_the_default_guard(specs: list[tuple[str, str, tuple[int, ...]]], names: tuple[str, ...]) -> None:
    assert Guard.of([TensorSpec(*spec) for spec in specs], ()).names == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "guard: expected the name of the guarded input, one of: x, y, s"),
        (("z",), "found 'z'"),
        (("s",), "found strings in 's'"),
        (("x", "y"), r"expected columns \(n, 1\)"),
    ],
)
def test_a_guard_that_can_not_be_is_named(names: tuple[str, ...], message: str) -> None:
    inputs = [TensorSpec("x", "FP32", (-1, 4)), TensorSpec("y", "FP32", (-1, 3, 8)), TensorSpec("s", "BYTES", (-1, 1))]
    with pytest.raises(ModelError, match=message):
        Guard.of(inputs, names)


def test_inputs_must_agree_on_their_rows() -> None:
    guard = Guard.of([TensorSpec("a", "FP32", (-1, 1)), TensorSpec("b", "FP32", (-1, 1))], ())
    with pytest.raises(ModelError, match="same number of rows"):
        guard.join({"a": np.zeros((2, 1), np.float32), "b": np.zeros((3, 1), np.float32)})


def test_a_purified_integer_column_is_rounded_not_cut() -> None:
    guard = Guard.of([TensorSpec("a", "INT32", (-1, 1)), TensorSpec("b", "FP32", (-1, 1))], ())
    batch = guard.join({"a": np.array([[7], [-7]], np.int32), "b": np.zeros((2, 1), np.float32)})
    assert guard.split(batch.with_x(batch.x + 0.7 * np.sign(batch.x)))["a"].ravel().tolist() == [8, -8]
