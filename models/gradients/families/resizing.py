"""Images in another size (Resize, GridSample)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator

Floats = Sequence[float]
Tap = tuple[Tensor, Tensor | None]  # which value of an axis, and its weight (None: one)


def resize(
    x: Tensor,
    roi: Floats | None = None,
    scales: Floats | None = None,
    sizes: Sequence[int] | None = None,
    *,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Axes in other sizes, one axis after the other: nearest, linear or cubic values."""
    named = range(x.dim()) if axes is None else axes
    targets = new_sizes([x.shape[axis] for axis in named], scales, sizes, keep_aspect_ratio_policy)
    for axis, (size, scale) in zip(named, targets, strict=True):
        old = x.shape[axis]
        if size == old and scale == 1.0:
            continue
        places = source_places(old, size, scale, coordinate_transformation_mode).to(x.device)
        if mode == "nearest":
            taps: list[Tap] = [(round_places(places, nearest_mode), None)]
        elif mode == "linear":
            taps = linear_taps(places)
        else:
            taps = cubic_taps(places, old, cubic_coeff_a, bool(exclude_outside))
        x = blend(x, axis, taps)
    return x


def new_sizes(
    old: Sequence[int], scales: Floats | None, sizes: Sequence[int] | None, policy: str
) -> list[tuple[int, float]]:
    """The new size of every axis and the scale it comes from."""
    if not sizes:
        return [(int(size * scale), scale) for size, scale in zip(old, scales or [], strict=True)]
    ratios = [new / size for new, size in zip(sizes, old, strict=True)]
    if policy == "stretch":
        return list(zip(sizes, ratios, strict=True))
    ratio = min(ratios) if policy == "not_larger" else max(ratios)
    return [(int(ratio * size + 0.5), ratio) for size in old]


def source_places(old: int, new: int, scale: float, mode: str) -> Tensor:
    """Where in the old axis every value of the new one lies. Single precision, as runtimes have it."""
    i = torch.arange(new, dtype=torch.float32)
    if mode == "align_corners":
        return i * ((old - 1) / (new - 1)) if new > 1 else torch.zeros(1)
    if mode == "asymmetric":
        return i / scale
    if mode == "pytorch_half_pixel" and new == 1:
        return torch.zeros(1)
    places = (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        return places + old / 2 * (1 - new / (scale * old))
    return places


def round_places(places: Tensor, nearest_mode: str) -> Tensor:
    """The index taken for every place; indices outside are moved inside later."""
    if nearest_mode == "floor":
        return places.floor()
    if nearest_mode == "ceil":
        return places.ceil()
    return (places - 0.5).ceil() if nearest_mode == "round_prefer_floor" else (places + 0.5).floor()


def linear_taps(places: Tensor) -> list[Tap]:
    """Two neighbors, by distance."""
    low = places.floor()
    return [(low, 1 - (places - low)), (low + 1, places - low)]


def cubic_taps(places: Tensor, old: int, a: float, exclude_outside: bool) -> list[Tap]:
    """Four neighbors, by cubic convolution (Keys 1981)."""
    low = places.floor()
    indices = [low - 1, low, low + 1, low + 2]
    weights = [cubic(places - i, a) for i in indices]
    if exclude_outside:
        weights = [w * ((i >= 0) & (i < old)) for i, w in zip(indices, weights, strict=True)]
        whole = torch.stack(weights).sum(0)
        weights = [w / whole for w in weights]
    return list(zip(indices, weights, strict=True))


def cubic(offset: Tensor, a: float) -> Tensor:
    """The weight of a value this far away."""
    d = offset.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    return torch.where(d <= 1, near, ((d - 5) * d + 8) * d * a - 4 * a)


def blend(x: Tensor, axis: int, taps: Sequence[Tap]) -> Tensor:
    """The weighted sum of values along an axis."""
    shape = [1] * x.dim()
    shape[axis] = -1
    terms = []
    for index, weight in taps:
        values = x.index_select(axis, index.long().clamp(0, x.shape[axis] - 1))
        terms.append(values if weight is None else values * weight.to(x.dtype).reshape(shape))
    return reduce(torch.add, terms)


def grid_sample(
    x: Tensor, grid: Tensor, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Tensor:
    """Values at the places that a grid in [-1, 1] names (Jaderberg et al. 2015)."""
    torch_mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    return functional.grid_sample(x, grid, torch_mode, padding_mode, bool(align_corners))


COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")

TABLE = {
    "GridSample": Operator(grid_sample),
    "Resize": Operator(
        resize,
        host=(1, 2, 3),
        allowed={
            "antialias": (0,),
            "coordinate_transformation_mode": COORDINATES,
            "mode": ("nearest", "linear", "cubic"),
        },
        ignored=("extrapolation_value",),
    ),
}
