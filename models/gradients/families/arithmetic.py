"""Arithmetic, comparison and logic, element by element, with numpy broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from models.gradients.dtypes import DTYPES
from models.gradients.operator import Operator


def divide(x: Tensor, y: Tensor) -> Tensor:
    """Division; of integers, toward zero."""
    return torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """A power, of the base's type."""
    return torch.pow(x, exponent).to(x.dtype)


def modulo(x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder, of the divisor's sign or, with `fmod`, of the dividend's."""
    return torch.fmod(x, y) if fmod else torch.remainder(x, y)


def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Values moved into [low, high]; the upper bound wins where they cross."""
    return x if low is None and high is None else torch.clamp(x, low, high)


def cast(x: Tensor, *, to: int) -> Tensor:
    """Another element type."""
    return x.to(DTYPES[to])


def cast_like(x: Tensor, like: Tensor) -> Tensor:
    """The element type of another tensor."""
    return x.to(like.dtype)


def is_infinite(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Where a value is infinite, on the sides asked for."""
    signs = ([float("-inf")] if detect_negative else []) + ([float("inf")] if detect_positive else [])
    return torch.isin(x, torch.tensor(signs, dtype=x.dtype, device=x.device))


def folded(pair: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A function of any number of tensors from one of two."""

    def fold(*tensors: Tensor) -> Tensor:
        return reduce(pair, tensors)

    return fold


def mean(*tensors: Tensor) -> Tensor:
    """The mean of tensors, element by element."""
    return reduce(torch.add, tensors) / len(tensors)


def round_even(x: Tensor) -> Tensor:
    """The nearest integer; halves go to the even one."""
    return torch.round(x)


def identity(x: Tensor) -> Tensor:
    """The input itself."""
    return x


UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Identity": identity,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Round": round_even,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}

TABLE: dict[str, Operator] = {name: Operator(function) for name, function in UNARY.items()} | {
    "Add": Operator(torch.add),
    "And": Operator(torch.logical_and),
    "Cast": Operator(cast, allowed={"to": tuple(DTYPES)}, ignored=("saturate",)),
    "CastLike": Operator(cast_like, ignored=("saturate",)),
    "Clip": Operator(clip),
    "Div": Operator(divide),
    "Equal": Operator(torch.eq),
    "Greater": Operator(torch.gt),
    "GreaterOrEqual": Operator(torch.ge),
    "IsInf": Operator(is_infinite),
    "Less": Operator(torch.lt),
    "LessOrEqual": Operator(torch.le),
    "Max": Operator(folded(torch.maximum)),
    "Mean": Operator(mean),
    "Min": Operator(folded(torch.minimum)),
    "Mod": Operator(modulo),
    "Mul": Operator(torch.mul),
    "Or": Operator(torch.logical_or),
    "Pow": Operator(power),
    "Sub": Operator(torch.sub),
    "Sum": Operator(folded(torch.add)),
    "Where": Operator(torch.where),
    "Xor": Operator(torch.logical_xor),
}
