from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto

from models.batch import Array
from models.gradients.families.arithmetic import UNARY

Check = Callable[..., None]
Normal = Callable[..., Array]

ABOVE_ONE = {"Acosh"}
INSIDE_ONE = {"Acos", "Asin", "Atanh"}
POSITIVE = {"Log", "Sqrt", "Reciprocal"}
NOT_SMOOTH = {"Ceil", "Floor", "Round", "Sign", "IsNaN", "Not"}


@pytest.mark.parametrize("kind", sorted(UNARY))
def test_functions_of_one_tensor(check: Check, normal: Normal, kind: str) -> None:
    x = 2 * normal(3, 4)
    if kind in ABOVE_ONE | POSITIVE:
        x = np.abs(x) + 1.1
    elif kind in INSIDE_ONE:
        x = np.tanh(x) * np.float32(0.9)
    elif kind == "Not":
        check(kind, [x > 0])
        return
    elif kind == "IsNaN":
        x[0, 0] = np.nan
    check(kind, [x], gradient=kind not in NOT_SMOOTH)


def test_halves_round_to_the_even_integer(check: Check) -> None:
    check("Round", [np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)])


@pytest.mark.parametrize("opset", [13, 14, 17, 21, 23])
@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"])
def test_functions_of_two_tensors_broadcast(check: Check, normal: Normal, kind: str, opset: int) -> None:
    check(kind, [normal(2, 1, 4), np.abs(normal(3, 1)) + 1], fixed=(1,), opset=opset, gradient=True)


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
def test_integers(check: Check, kind: str) -> None:
    check(kind, [np.array([-7, 7, 9, -9]), np.array([2, -2, 4, 5])], fixed=(1,))


@pytest.mark.parametrize("kind", ["Max", "Min", "Sum", "Mean"])
def test_functions_of_many_tensors(check: Check, normal: Normal, kind: str) -> None:
    check(kind, [normal(2, 3), normal(3), normal(1, 1), normal(2, 1)], fixed=(2, 3), gradient=True)


@pytest.mark.parametrize("kind", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
def test_comparisons(check: Check, kind: str) -> None:
    check(kind, [np.array([[1, 2, 3]], np.float32), np.array([[2], [3]], np.float32)], fixed=(1,))


@pytest.mark.parametrize("kind", ["And", "Or", "Xor"])
def test_logic(check: Check, kind: str) -> None:
    check(kind, [np.array([True, True, False, False]), np.array([True, False, True, False])], fixed=(1,))


@pytest.mark.parametrize("exponent", [np.float32(2), np.float32(0.5), np.int64(3)])
def test_powers(check: Check, normal: Normal, exponent: np.generic) -> None:
    check("Pow", [np.abs(normal(3, 4)) + 0.1, np.array(exponent)], fixed=(1,), gradient=True)


def test_a_power_has_its_base_s_type(check: Check) -> None:
    check("Pow", [np.array([1, 2, 3]), np.array(2, np.float32)], fixed=(1,))


def test_remainders(check: Check, normal: Normal) -> None:
    check("Mod", [np.array([-7, 7, -8]), np.array([3, -3, 5])], fixed=(1,))
    check("Mod", [3 * normal(8), np.array([0.7], np.float32)], fixed=(1,), fmod=1)


def test_where_chooses_and_passes_each_gradient(check: Check, normal: Normal) -> None:
    check("Where", [np.array([[True], [False]]), normal(2, 3), normal(3)], fixed=(0,))


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (None, 0.5), (-0.5, None), (None, None)])
def test_clip(check: Check, normal: Normal, bounds: tuple[float | None, float | None]) -> None:
    low, high = (None if b is None else np.array(b, np.float32) for b in bounds)
    check("Clip", [normal(3, 4), low, high], fixed=(1, 2), gradient=True)


@pytest.mark.parametrize(
    "to", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL]
)
def test_casts(check: Check, normal: Normal, to: int) -> None:
    check("Cast", [3 * normal(3, 4)], to=to)
    check("CastLike", [3 * normal(3, 4), np.zeros(1, np.int64)], fixed=(1,))


@pytest.mark.parametrize("sides", [{}, {"detect_negative": 0}, {"detect_positive": 0}])
def test_infinite_values(check: Check, sides: dict[str, int]) -> None:
    check("IsInf", [np.array([1, np.inf, -np.inf, np.nan], np.float32)], **sides)
