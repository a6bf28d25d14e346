"""The flattest row near the given one: least squares with a price on total variation, each channel by itself.

Rudin, Osher, Fatemi: Nonlinear total variation based noise removal algorithms (1992); as a defense: Guo, Rana, Cisse,
van der Maaten: Countering Adversarial Images using Input Transformations (ICLR 2018). Solved in the dual (Chambolle:
An algorithm for total variation minimization and applications, 2004) by fast projected gradients (Beck, Teboulle: Fast
gradient-based algorithms for constrained total variation image denoising and deblurring problems, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec
from defenses.values import Values, learned_range
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind

_CHUNK = 16_384  # values worked on at a time, so that they stay in the cache


@dataclass(frozen=True, slots=True)
class TotalVariation:
    """Minimizes |u - x|^2 / 2 + weight * TV(u) by a fixed number of iterations; `momentum` has one factor for each.

    Works on rows laid end to end, where a neighbor is `strides` values on. `inside` (axes, values) is 1 where it is in
    the same line, and 0 elsewhere: whatever is computed across an edge is taken back to 0.
    """

    name: str
    weight: float
    momentum: tuple[float, ...]
    strides: tuple[int, ...]
    inside: Array
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        u = self.values.enter(x)
        size = self.inside.shape[1]
        rows = max(1, _CHUNK // size)
        flat = u.reshape(-1)
        for start in range(0, len(u), rows):
            part = slice(start * size, (start + rows) * size)
            flat[part] = self._flattened(flat[part])
        return self.values.leave(u, x)

    def _flattened(self, x: Array) -> Array:
        """`dual` holds one field an axis; `ahead` is where the next step starts."""
        real = self.values.real.type
        goal = x / real(self.weight)
        steps = np.tile(self.inside * real(0.25 / len(self.strides)), x.size // self.inside.shape[1])
        dual, last, ahead = (np.zeros((len(self.strides), x.size), x.dtype) for _ in range(3))
        length, rest = np.empty_like(x), np.empty_like(x)
        for factor in self.momentum:
            self._residual(goal, ahead, rest)
            dual, last = last, dual
            self._climb(rest, ahead, steps, dual)
            _shorten(dual, length)
            np.subtract(dual, last, out=ahead)
            ahead *= real(factor)
            ahead += dual
        self._residual(goal, dual, rest)
        rest *= real(self.weight)
        return rest

    def _residual(self, goal: Array, dual: Array, out: Array) -> None:
        """`goal` less the adjoint of the gradient."""
        np.add(goal, dual[0], out=out)
        for part in dual[1:]:
            out += part
        for stride, part in zip(self.strides, dual, strict=True):
            out[stride:] -= part[:-stride]

    def _climb(self, u: Array, start: Array, steps: Array, out: Array) -> None:
        """`start` and a step along the gradient of `u`."""
        for stride, part in zip(self.strides, out, strict=True):
            np.subtract(u[stride:], u[:-stride], out=part[:-stride])
        out *= steps
        out += start


def _shorten(dual: Array, length: Array) -> None:
    """Vectors longer than 1 become that long."""
    if len(dual) == 1:
        np.clip(dual, -1.0, 1.0, out=dual)
        return
    np.multiply(dual[0], dual[0], out=length)
    for part in dual[1:]:
        length += part * part
    np.maximum(length, 1.0, out=length)
    np.sqrt(length, out=length)
    dual /= length


class TotalVariationSpec(PurifierSpec):
    """`weight` is the price of variation, where the input's range counts as 1; more `iterations` are more exact."""

    kind: Literal["total_variation"] = "total_variation"
    weight: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    iterations: Annotated[int, Field(ge=1, le=1000)] = 30
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "series"})

    def fit(self, x: Array, spec: InputSpec) -> Arrays:
        """The range of an input without bounds."""
        return learned_range(x, spec)

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for tables and token ids."""
        self.refuse_unsuitable(spec)
        name = f"total_variation-{self.weight:g}-{self.iterations}"
        values = Values.scaled(spec, arrays, self.kind)
        strides, inside = _lines(spec.shape, [axis - 1 for axis in smooth_axes(spec)])
        return TotalVariation(
            name, self.weight, _momentum(self.iterations), strides, inside.astype(values.real), values
        )


def _lines(shape: tuple[int, ...], axes: list[int]) -> tuple[tuple[int, ...], Array]:
    """How far on the next value of a line is, for each axis, and where there is one."""
    places = np.indices(shape).reshape(len(shape), -1)
    strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in axes)
    return strides, np.stack([places[axis] < shape[axis] - 1 for axis in axes])


def _momentum(iterations: int) -> tuple[float, ...]:
    factors, t = [], 1.0
    for _ in range(iterations):
        following = (1.0 + (1.0 + 4.0 * t * t) ** 0.5) / 2.0
        factors.append((t - 1.0) / following)
        t = following
    return tuple(factors)
