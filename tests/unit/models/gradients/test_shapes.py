"""Operators that arrange, pick and reduce values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from models.batch import Array

Check = Callable[..., None]
Normal = Callable[..., Array]
Attributes = dict[str, Any]


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


@pytest.mark.parametrize("opset", [13, 14, 19, 21, 23])
@pytest.mark.parametrize("shape", [(6, 4), (0, -1), (2, 0, 2, 2), (-1,)])
def test_reshape(check: Check, normal: Normal, shape: tuple[int, ...], opset: int) -> None:
    check("Reshape", [normal(2, 3, 4), ints(*shape)], fixed=(1,), opset=opset, gradient=True)


def test_reshape_can_mean_zero_by_zero(check: Check) -> None:
    check("Reshape", [np.zeros((0, 3), np.float32), ints(3, 0)], fixed=(1,), opset=14, allowzero=1)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_flatten(check: Check, normal: Normal, axis: int) -> None:
    check("Flatten", [normal(2, 3, 4)], gradient=True, axis=axis)


@pytest.mark.parametrize("attributes", [{}, {"perm": [0, 2, 1]}, {"perm": [2, 0, 1]}])
def test_transpose(check: Check, normal: Normal, attributes: Attributes) -> None:
    check("Transpose", [normal(2, 3, 4)], gradient=True, **attributes)


@pytest.mark.parametrize("axes", [None, (0,), (0, -2)])
def test_squeeze(check: Check, normal: Normal, axes: tuple[int, ...] | None) -> None:
    inputs = [normal(1, 3, 1, 4)] + ([] if axes is None else [ints(*axes)])
    check("Squeeze", inputs, fixed=(1,), gradient=axes is not None)


@pytest.mark.parametrize("axes", [(0,), (-1,), (3, 1), (0, 1, -1)])
def test_unsqueeze(check: Check, normal: Normal, axes: tuple[int, ...]) -> None:
    check("Unsqueeze", [normal(2, 3), ints(*axes)], fixed=(1,), gradient=True)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 4), (5, 1, 3, 1), (1,)])
def test_expand_broadcasts_both_ways(check: Check, normal: Normal, shape: tuple[int, ...]) -> None:
    check("Expand", [normal(3, 1) if shape != (1, 4) else normal(2, 3, 4), ints(*shape)], fixed=(1,), gradient=True)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(check: Check, normal: Normal, axis: int) -> None:
    check("Concat", [normal(2, 3), normal(2, 3), normal(2, 3)], fixed=(1,), gradient=False, axis=axis)


@pytest.mark.parametrize(("opset", "more"), [(13, {}), (18, {"num_outputs": 3}), (21, {"num_outputs": 3})])
def test_split_in_equal_parts(check: Check, normal: Normal, opset: int, more: Attributes) -> None:
    check("Split", [normal(2, 6)], opset=opset, outputs=3, gradient=True, axis=1, **more)


def test_split_in_parts_of_which_the_last_is_smaller(check: Check, normal: Normal) -> None:
    check("Split", [normal(7, 2)], opset=18, outputs=3, gradient=True, num_outputs=3)


@pytest.mark.parametrize("opset", [13, 18, 21])
def test_split_in_named_parts(check: Check, normal: Normal, opset: int) -> None:
    check("Split", [normal(2, 6), ints(1, 3, 2)], fixed=(1,), opset=opset, outputs=3, gradient=True, axis=-1)


@pytest.mark.parametrize(
    "ranges",
    [
        ([1], [3]),
        ([0, 1], [2**62, -1]),
        ([0], [-1], [2]),
        ([-2], [2**31], [-1]),
        ([0, 0], [5, 4], [1, 2], [2, 3]),
        ([-1], [-(2**62)], [1], [-1]),
        ([4, 3], [0, 0], [1, -1], [-2, -1]),
    ],
)
def test_slice(check: Check, normal: Normal, ranges: Sequence[Sequence[int]]) -> None:
    check("Slice", [normal(4, 5, 6), *(ints(*values) for values in ranges)], fixed=(1, 2, 3, 4), gradient=True)


@pytest.mark.parametrize("repeats", [(2, 1), (1, 3), (2, 2)])
def test_tile(check: Check, normal: Normal, repeats: tuple[int, ...]) -> None:
    check("Tile", [normal(2, 3), ints(*repeats)], fixed=(1,), gradient=True)


@pytest.mark.parametrize(("opset", "mode"), [(13, "constant"), (18, "reflect"), (21, "edge"), (19, "wrap")])
@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 2, 1), (1, 0, 2, 0, 0, 0, 0, 2)])
def test_pad(check: Check, normal: Normal, mode: str, opset: int, pads: tuple[int, ...]) -> None:
    check("Pad", [normal(2, 3, 4, 5), ints(*pads)], fixed=(1,), opset=opset, gradient=True, mode=mode)


def test_pad_by_a_value_crops_and_takes_some_axes(check: Check, normal: Normal) -> None:
    value = np.array(1.5, np.float32)
    check("Pad", [normal(2, 3, 4), ints(0, 1, -1, 0, -2, 2), value], fixed=(1, 2), gradient=True)
    check("Pad", [normal(2, 3, 4), ints(1, 2), value, ints(-1)], fixed=(1, 2, 3), gradient=True)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2])
def test_trilu(check: Check, normal: Normal, upper: int, k: int | None) -> None:
    inputs = [normal(2, 4, 5)] + ([] if k is None else [np.array(k)])
    check("Trilu", inputs, fixed=(1,), gradient=True, upper=upper)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_of_space_and_channels(check: Check, normal: Normal, mode: str) -> None:
    check("DepthToSpace", [normal(2, 8, 3, 4)], gradient=True, blocksize=2, mode=mode)
    check("SpaceToDepth", [normal(2, 3, 4, 6)], gradient=True, blocksize=2)


def test_dropout_drops_nothing(check: Check, normal: Normal) -> None:
    check("Dropout", [normal(4, 5)], gradient=True)
    check("Dropout", [normal(4, 5), np.array(0.3, np.float32), np.array(False)], fixed=(1, 2), gradient=True)


@pytest.mark.parametrize("indices", [np.array(1), np.array([0, -1]), np.array([[0, 2], [-2, 1]], np.int32)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather(check: Check, normal: Normal, indices: Array, axis: int) -> None:
    check("Gather", [normal(3, 4, 5), indices], fixed=(1,), gradient=True, axis=axis)


def test_gather_elements(check: Check, normal: Normal) -> None:
    check("GatherElements", [normal(3, 4), np.array([[0, -1], [2, 1]])], fixed=(1,), gradient=True, axis=1)


@pytest.mark.parametrize("batch_dims", [0, 1])
@pytest.mark.parametrize("width", [1, 2])
def test_gather_slices(check: Check, normal: Normal, batch_dims: int, width: int) -> None:
    indices = np.array([[[0, 1], [-1, 0]], [[1, 1], [0, -2]]])[..., :width]
    check("GatherND", [normal(2, 3, 4, 5), indices], fixed=(1,), gradient=True, batch_dims=batch_dims)


@pytest.mark.parametrize(("opset", "reduction"), [(13, {}), (16, {"reduction": "add"}), (18, {"reduction": "none"})])
def test_scatter(check: Check, normal: Normal, opset: int, reduction: Attributes) -> None:
    places = np.array([[0, 2, -1]])
    check(
        "ScatterElements",
        [normal(3, 4), places, normal(1, 3)],
        fixed=(1, 2),
        opset=opset,
        gradient=True,
        axis=1,
        **reduction,
    )
    slices = np.array([[0], [2]])
    check("ScatterND", [normal(3, 4), slices, normal(2, 4)], fixed=(1, 2), opset=opset, gradient=True, **reduction)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(check: Check, axis: int) -> None:
    values = np.array([0.5, 2], np.float32)
    check("OneHot", [np.array([[0, 3], [-1, 1]]), np.array(4), values], fixed=(1, 2), axis=axis)
    check("OneHot", [np.array([[0, 3], [-1, 1]]), ints(4), values], fixed=(1, 2), axis=axis)


def test_where_values_are_not_zero(check: Check) -> None:
    check("NonZero", [np.array([[1, 0, 2], [0, 0, 3]], np.float32)])


@pytest.mark.parametrize("attributes", [{}, {"start": 1}, {"start": -2, "end": -1}])
def test_sizes(check: Check, normal: Normal, attributes: Attributes) -> None:
    check("Shape", [normal(2, 3, 4)], opset=15, **attributes)
    check("Size", [normal(2, 3, 4)])


def test_tensors_of_numbers(check: Check, normal: Normal) -> None:
    check("ConstantOfShape", [ints(2, 3)], fixed=(0,))
    check("Range", [np.array(1), np.array(9), np.array(3)], fixed=(1,))
    check("Range", [np.array(2.5, np.float32), np.array(0, np.float32), np.array(-0.5, np.float32)], fixed=(2,))
    check("EyeLike", [normal(3, 4)], k=1)


REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize(("axes", "keepdims"), [(None, 1), ([1], 0), ([0, -1], 0), ([0, -1], 1)])
@pytest.mark.parametrize("opset", [13, 18])
def test_reductions(check: Check, normal: Normal, kind: str, axes: list[int] | None, keepdims: int, opset: int) -> None:
    as_input = kind == "Sum" or opset >= 18
    inputs = [np.abs(normal(2, 3, 4)) + 0.1] + ([ints(*axes)] if as_input and axes else [])
    more = {} if as_input or axes is None else {"axes": axes}
    check(f"Reduce{kind}", inputs, fixed=(1,), opset=opset, gradient=True, keepdims=keepdims, **more)


def test_a_reduction_over_no_axes_can_be_the_identity(check: Check, normal: Normal) -> None:
    check("ReduceSum", [normal(2, 3)], gradient=True, noop_with_empty_axes=1)


@pytest.mark.parametrize("kind", ["Sum", "Max", "Min", "Prod", "Mean"])
def test_reductions_of_integers(check: Check, kind: str) -> None:
    check(f"Reduce{kind}", [np.array([[1, 2, -4], [7, -3, 9]], np.int32), ints(1)], fixed=(1,))


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_where_the_extreme_is(check: Check, kind: str, last: int, keepdims: int) -> None:
    x = np.array([[3, 1, 3, 1], [2, 2, 2, 2]], np.float32)
    check(kind, [x], axis=1, select_last_index=last, keepdims=keepdims)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [np.array(1), np.array([-2])])
def test_running_sums(check: Check, normal: Normal, exclusive: int, reverse: int, axis: Array) -> None:
    inputs = [normal(3, 4), axis]
    check("CumSum", inputs, fixed=(1,), gradient=True, exclusive=exclusive, reverse=reverse)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_top(check: Check, normal: Normal, largest: int, axis: int) -> None:
    check("TopK", [normal(4, 5), ints(3)], fixed=(1,), outputs=2, axis=axis, largest=largest)
