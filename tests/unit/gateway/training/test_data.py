"""Files become rows, and what is wrong with them becomes one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.training.data import dataset
from gateway.training.table import read
from models.backend import Outputs, TensorSpec
from models.batch import Arrays, Batch, Bounds, InputSpec
from models.guard import Guard

Save = Callable[..., Path]
FLOAT = np.dtype("float32")
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@dataclass
class Reads:
    """A model that only reads; its inputs are joined as real ones are."""

    spec: InputSpec
    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "FP32", (-1, 3)),)
    outputs: tuple[TensorSpec, ...] = ()
    guarded: tuple[str, ...] = field(default=("x",))

    def join(self, tensors: Arrays) -> Batch:
        return Guard.of(self.inputs, self.guarded).join(tensors)

    def predict(self, batch: Batch) -> Outputs:
        return Outputs({})


TABLE = Reads(InputSpec("table", FLOAT, (3,)))
COLUMNS = Reads(
    InputSpec("table", FLOAT, (2,), columns=("age", "sum")),
    (TensorSpec("age", "FP32", (-1, 1)), TensorSpec("sum", "FP32", (-1, 1)), TensorSpec("note", "BYTES", (-1, 1))),
    guarded=("age", "sum"),
)


def test_rows_and_labels(saved: Save) -> None:
    data = dataset(read(saved(x=ROWS, y=[0, 1, 2, 1])), TABLE)
    assert (data.batch.x == ROWS).all()
    rows = data.take(np.array([3, 0]))
    assert (rows.batch.x == ROWS[[3, 0]]).all()
    assert rows.y is not None
    assert rows.y.tolist() == [1, 0]


def test_one_array_an_input_in_the_models_order(saved: Save) -> None:
    file = saved(sum=[5.0, 6.0], note=["a", "b"], age=np.array([[1.0], [2.0]]))
    data = dataset(read(file), COLUMNS)
    assert data.batch.x.tolist() == [[1, 5], [2, 6]]
    assert data.batch.extras["note"].ravel().tolist() == ["a", "b"]


def test_the_guarded_columns_as_x_beside_the_other_inputs(saved: Save) -> None:
    data = dataset(read(saved(x=[[1.0, 5.0]], note=[["a"]])), COLUMNS)
    assert data.batch.x.tolist() == [[1, 5]]
    assert list(data.batch.extras) == ["note"]


def test_a_csv_of_columns(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b,name,c,y\n1,2,ann,3,0\n4,5,bob,6,1\n")
    data = dataset(read(file), TABLE, group="name")
    assert data.batch.x.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert data.group is not None
    assert data.group.tolist() == ["ann", "bob"]
    assert data.y is not None
    assert data.y.tolist() == [0, 1]


def test_a_bare_array(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    assert len(dataset(read(tmp_path / "rows.npy"), TABLE)) == 4


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint8", "bool"])
def test_casts_that_lose_nothing(saved: Save, dtype: str) -> None:
    data = dataset(read(saved(x=ROWS.astype(dtype))), TABLE)
    assert data.batch.x.dtype == np.float32
    assert (data.batch.x == ROWS.astype(dtype)).all()
    assert bool(data.notes) == (dtype == "float64")


def test_integers_from_whole_floats_only(saved: Save) -> None:
    model = Reads(InputSpec("tokens", np.dtype("int32"), (3,)), (TensorSpec("x", "INT32", (-1, 3)),))
    assert dataset(read(saved(x=ROWS)), model).batch.x.dtype == np.int32
    with pytest.raises(OperatorError, match=r"x: expected values that fit the model's int32, found 0\.5 \(float32\)"):
        dataset(read(saved(x=ROWS + 0.5)), model)


def test_missing_values_where_they_are_allowed(saved: Save) -> None:
    x = ROWS.copy()
    x[2, 1] = np.nan
    file = read(saved(x=x))
    with pytest.raises(OperatorError, match=r"data\.npz: x: expected numbers .*, found NaN in row 2"):
        dataset(file, TABLE)
    allowed = Reads(InputSpec("table", FLOAT, (3,), missing=True))
    assert np.isnan(dataset(file, allowed).batch.x).sum() == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"x": ROWS[:, :2]}, r"x: expected rows of shape \(3,\), found \(2,\)"),
    ({"x": 1.0}, r"x: expected rows of shape \(3,\), found a single value"),
    ({"x": ROWS.astype(str)}, r"x: expected float32, found <U"),
    ({"x": ROWS.astype(complex)}, r"x: expected float32, found complex128"),
    ({"x": ROWS[:0]}, r"x: expected at least one row, found none"),
    ({"x": ROWS * 1e300}, r"x: expected values that fit the model's float32, found 1e\+300 \(float64\)"),
    ({"x": np.where(ROWS == 5, np.inf, ROWS)}, r"x: expected finite values, found infinity in row 1"),
    ({"x": ROWS, "y": [0, 1]}, r"y: expected 4 rows, as many as the guarded input, found shape \(2,\)"),
    ({"z": ROWS}, r"x: expected an array of this name .*, found only z"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG)
def test_what_is_wrong_is_said_in_one_line(saved: Save, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError, match=r"data\.npz: " + message) as refused:
        dataset(read(saved(**arrays)), TABLE)
    assert "\n" not in str(refused.value)


def test_bounds_hold_for_the_reference(saved: Save) -> None:
    model = Reads(InputSpec("table", FLOAT, (3,), Bounds(0.0, 1.0)))
    file = read(saved(x=ROWS))
    with pytest.raises(OperatorError, match=r"x: expected values in the stated bounds \[0, 1\], found \[0, 11\]"):
        dataset(file, model, bounded=True)
    assert len(dataset(file, model)) == 4


def test_a_group_that_is_not_there(saved: Save) -> None:
    with pytest.raises(OperatorError, match="user: expected an array of this name"):
        dataset(read(saved(x=ROWS)), TABLE, group="user")


@pytest.mark.parametrize("y", [[0.5, 1, 2, 3], ["a", "b", "c", "d"], np.zeros((4, 2))])
def test_labels_that_are_no_classes_are_left_out_with_a_note(saved: Save, y: Any) -> None:
    data = dataset(read(saved(x=ROWS, y=y)), TABLE)
    assert data.y is None
    assert "y is no class index" in data.notes[0]
