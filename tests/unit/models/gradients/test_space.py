"""Operators over space: pooling, resizing, sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.batch import Array

Check = Callable[..., None]
Normal = Callable[..., Array]
Attributes = dict[str, Any]

WINDOWS: list[tuple[tuple[int, ...], Attributes]] = [
    ((2, 3, 9), {"kernel_shape": [3], "strides": [2]}),
    ((1, 2, 7, 8), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ((1, 2, 7, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((1, 2, 7, 8), {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [0, 1, 2, 0]}),
    ((1, 2, 7, 8), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    ((1, 2, 6, 9), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ((1, 2, 4, 7), {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    ((1, 2, 7, 8), {"kernel_shape": [3, 3], "strides": [2, 3], "auto_pad": "SAME_UPPER"}),
    ((1, 2, 7, 8), {"kernel_shape": [2, 3], "strides": [2, 3], "auto_pad": "SAME_LOWER"}),
    ((1, 2, 7, 8), {"kernel_shape": [3, 3], "auto_pad": "VALID"}),
    ((1, 2, 7, 8), {"kernel_shape": [2, 3], "dilations": [2, 2], "pads": [1, 0, 1, 0]}),
    ((1, 2, 4, 5, 6), {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}),
]


@pytest.mark.parametrize(("shape", "attributes"), WINDOWS)
@pytest.mark.parametrize("opset", [13, 22])
def test_max_pool(check: Check, normal: Normal, shape: tuple[int, ...], attributes: Attributes, opset: int) -> None:
    check("MaxPool", [normal(*shape)], opset=opset, gradient=True, **attributes)


@pytest.mark.parametrize(("shape", "attributes"), WINDOWS)
@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("opset", [13, 19])
def test_average_pool(
    check: Check, normal: Normal, shape: tuple[int, ...], attributes: Attributes, count_include_pad: int, opset: int
) -> None:
    if opset < 19 and "dilations" in attributes:
        attributes = {name: value for name, value in attributes.items() if name != "dilations"}
    check(
        "AveragePool", [normal(*shape)], opset=opset, gradient=True, count_include_pad=count_include_pad, **attributes
    )


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5)])
def test_pooling_over_all_of_space(check: Check, normal: Normal, kind: str, shape: tuple[int, ...]) -> None:
    check(kind, [normal(*shape)], gradient=True)


NO_ROI = np.zeros(0, np.float32)
MODES: list[Attributes] = [
    {"mode": "nearest"},
    {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "nearest", "nearest_mode": "ceil"},
    {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    {"mode": "linear"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    {"mode": "cubic"},
    {"mode": "cubic", "cubic_coeff_a": -0.5, "coordinate_transformation_mode": "align_corners"},
    {"mode": "cubic", "exclude_outside": 1},
]


@pytest.mark.parametrize("attributes", MODES)
@pytest.mark.parametrize("scales", [(2, 2), (1.7, 0.6), (0.5, 3)])
def test_resize_by_scales(check: Check, normal: Normal, attributes: Attributes, scales: tuple[float, float]) -> None:
    inputs = [normal(1, 2, 5, 6), NO_ROI, np.array([1, 1, *scales], np.float32)]
    check("Resize", inputs, fixed=(1, 2), opset=13, gradient=True, **attributes)


@pytest.mark.parametrize("attributes", MODES)
@pytest.mark.parametrize("sizes", [(10, 12), (7, 4), (1, 9)])
@pytest.mark.parametrize("opset", [13, 19])
def test_resize_by_sizes(
    check: Check, normal: Normal, attributes: Attributes, sizes: tuple[int, int], opset: int
) -> None:
    inputs = [normal(1, 2, 5, 6), NO_ROI, None, np.array([1, 2, *sizes])]
    check("Resize", inputs, fixed=(1, 3), opset=opset, gradient=True, **attributes)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_resize_of_some_axes_can_keep_the_aspect_ratio(check: Check, normal: Normal, policy: str) -> None:
    inputs = [normal(1, 2, 5, 6), None, None, np.array([9, 9])]
    attributes = {"axes": [2, 3], "mode": "linear", "keep_aspect_ratio_policy": policy}
    check("Resize", inputs, fixed=(3,), opset=19, gradient=True, **attributes)


def test_resize_by_symmetric_half_pixels(check: Check, normal: Normal) -> None:
    inputs = [normal(1, 1, 5, 6), NO_ROI, np.array([1, 1, 1.7, 0.6], np.float32)]
    attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    check("Resize", inputs, fixed=(1, 2), opset=19, **attributes)


@pytest.mark.parametrize(("opset", "mode"), [(16, "bilinear"), (16, "nearest"), (20, "linear"), (20, "cubic")])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [0, 1])
def test_grid_sample(
    check: Check, normal: Normal, opset: int, mode: str, padding_mode: str, align_corners: int
) -> None:
    inputs = [normal(2, 3, 5, 6), normal(2, 4, 4, 2)]
    attributes = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    check("GridSample", inputs, fixed=(1,), opset=opset, gradient=True, tolerance=2e-5, **attributes)
