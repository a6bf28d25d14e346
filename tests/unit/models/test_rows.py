"""What rows look like is told from shapes and dtype, or the error names the key to set."""

from __future__ import annotations

import numpy as np
import pytest

from models.batch import Kind, Layout
from models.errors import ModelError
from models.rows import recognize_rows
from models.specs import InputConfig

F4, I8, U1 = np.dtype("float32"), np.dtype("int64"), np.dtype("uint8")


@pytest.mark.parametrize(
    ("dtype", "shape", "embedded", "kind", "layout"),
    [
        (F4, (30,), False, "table", None),
        (I8, (30,), False, "table", None),
        (I8, (30,), True, "tokens", None),
        (F4, (100, 6), False, "series", None),
        (F4, (1, 28, 28), False, "image", "NCHW"),
        (U1, (28, 28, 3), False, "image", "NHWC"),
        (F4, (4, 8, 8), False, "image", "NCHW"),
    ],
)
def test_kind_and_layout(
    dtype: np.dtype[np.generic], shape: tuple[int, ...], embedded: bool, kind: Kind, layout: Layout | None
) -> None:
    found = recognize_rows(InputConfig(), dtype, shape, None, embedded)
    assert (found.kind, found.layout, found.shape) == (kind, layout, shape)


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (InputConfig(), (3, 8, 3), "input.layout"),
        (InputConfig(), (7, 8, 9), "input.kind"),
        (InputConfig(), (2, 3, 8, 8), "input.kind"),
        (InputConfig(kind="image"), (8, 8), "input.kind: expected rows of 3 axes"),
        (InputConfig(kind="tokens"), (8,), "input.kind: expected integers"),
        (
            InputConfig(shape=(3, 9, 9)),
            (3, 8, 8),
            r"input.shape: .*\(3, 8, 8\), found \(3, 9, 9\)",
        ),
        (InputConfig(), (3, -1, 8), r"input.shape: .* leaves open: \(3, \?, 8\)"),
    ],
)
def test_errors_name_the_key(config: InputConfig, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        recognize_rows(config, F4, shape, None, False)


def test_stated_kind_and_layout_win() -> None:
    config = InputConfig(kind="image", layout="NHWC")
    assert recognize_rows(config, F4, (3, 8, 3), None, False).layout == "NHWC"


def test_missing_values_need_floats() -> None:
    with pytest.raises(ModelError, match=r"input\.missing"):
        recognize_rows(InputConfig(missing="allow"), I8, (8,), None, False)


def test_reference_rows_fill_in_free_axes_and_must_fit() -> None:
    assert recognize_rows(InputConfig(), F4, (3, -1, -1), np.zeros((2, 3, 8, 9)), False).shape == (3, 8, 9)
    with pytest.raises(ModelError, match=r"reference: .*found \(4, 8, 9\)"):
        recognize_rows(InputConfig(), F4, (3, -1, -1), np.zeros((2, 4, 8, 9)), False)
    with pytest.raises(ModelError, match=r"reference: .*\(3, 8, 8\), found \(3, 8, 9\)"):
        recognize_rows(InputConfig(shape=(3, 8, 8)), F4, (3, -1, -1), np.zeros((2, 3, 8, 9)), False)
