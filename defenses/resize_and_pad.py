"""Shrinks an image to a random size and puts it in a random place: gradients that meet one place miss another.

Xie, Wang, Zhang, Ren, Yuille: Mitigating Adversarial Effects Through Randomization (ICLR 2018). The paper enlarges the
input; a served model takes one size only, so here the image shrinks instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from defenses.axes import smooth_axes
from defenses.base import Purifier, PurifierSpec, Unsuitable
from defenses.draws import row_rng
from defenses.values import Values
from models.batch import NO_ARRAYS, Array, Arrays, InputSpec, Kind


@dataclass(frozen=True, slots=True)
class ResizeAndPad:
    """Draws come from a row's own bytes and the seed: whoever knows the seed can foretell them, so keep it to yourself.

    Values are interpolated linearly; around the image is 0, or the bound nearest to it.
    """

    name: str
    shrink: float
    seed: int
    axes: tuple[int, ...]
    around: float
    values: Values

    def apply(self, x: Array) -> Array:
        """(n, *row shape), same dtype."""
        u = self.values.enter(x)
        for index in range(len(u)):
            u[index] = self._moved(u[index], row_rng(x[index], self.seed))
        return self.values.leave(u, x)

    def _moved(self, image: Array, rng: np.random.Generator) -> Array:
        scale = rng.uniform(1.0 - self.shrink, 1.0)
        index = [slice(None)] * image.ndim
        moved = np.full_like(image, self.around)
        for axis in (axis - 1 for axis in self.axes):
            length = image.shape[axis]
            size = max(1, round(scale * length))
            start = int(rng.integers(0, length - size + 1))
            image = _resized(image, axis, size)
            index[axis] = slice(start, start + size)
        moved[tuple(index)] = image
        return moved


def _resized(image: Array, axis: int, size: int) -> Array:
    """Pixels are squares: their middles are compared."""
    length = image.shape[axis]
    middles = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0.0, length - 1.0)
    left = np.minimum(middles.astype(np.intp), max(length - 2, 0))
    shape = [size if i == axis else 1 for i in range(image.ndim)]
    share = (middles - left).astype(image.dtype).reshape(shape)
    low, high = image.take(left, axis=axis), image.take(np.minimum(left + 1, length - 1), axis=axis)
    return np.asarray(low + (high - low) * share)


class ResizeAndPadSpec(PurifierSpec):
    """`shrink` is the largest share of width and height that is lost."""

    kind: Literal["resize_and_pad"] = "resize_and_pad"
    shrink: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    suits: ClassVar[frozenset[Kind]] = frozenset({"image"})

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Purifier:
        """Raises `Unsuitable` for all but images, and for images with missing values."""
        self.refuse_unsuitable(spec)
        if spec.missing:
            raise Unsuitable("resize_and_pad moves values, and would move missing ones with them")
        around = 0.0 if spec.bounds is None else min(max(0.0, spec.bounds.low), spec.bounds.high)
        name = f"resize_and_pad-{self.shrink:g}-{self.seed}"
        return ResizeAndPad(name, self.shrink, self.seed, smooth_axes(spec), around, Values.plain(spec))
