from __future__ import annotations

import numpy as np

from gateway.telemetry.pictures import draw, draw_difference, is_image

GRAY = {"kind": "image", "layout": "NCHW", "bounds": [0.0, 1.0]}


def test_bounds_become_black_and_white() -> None:
    picture = draw(np.array([[[0.0, 1.0], [0.5, 2.0]]], dtype=np.float32), GRAY)
    assert picture.mode == "L"
    assert picture.size == (256, 256)
    assert [picture.getpixel(at) for at in ((0, 0), (255, 0), (0, 255), (255, 255))] == [0, 255, 128, 255]


def test_layouts_and_colors() -> None:
    red = np.zeros((3, 4, 6), dtype=np.uint8)
    red[0] = 255
    facts = {"kind": "image", "layout": "NCHW", "bounds": [0.0, 255.0]}
    first = draw(red, facts)
    second = draw(np.moveaxis(red, 0, -1), {**facts, "layout": "NHWC"})
    assert first.mode == second.mode == "RGB"
    assert first.size == second.size == (6 * 64, 4 * 64)
    assert first.getpixel((5, 5)) == second.getpixel((5, 5)) == (255, 0, 0)


def test_without_bounds_the_rows_own_extent_is_used() -> None:
    picture = draw(np.array([[[-3.0, 5.0]]]), {"kind": "image", "layout": "NCHW", "bounds": None})
    assert (picture.getpixel((0, 0)), picture.getpixel((picture.width - 1, 0))) == (0, 255)


def test_a_flat_row_and_nan_are_drawn() -> None:
    draw(np.full((1, 3, 3), np.nan), {"kind": "image", "layout": "NCHW", "bounds": None})
    draw(np.zeros((5, 3, 3)), {"kind": "image", "layout": "NCHW", "bounds": None})


def test_differences_are_scaled_around_gray() -> None:
    row, other = np.full((1, 1, 3), 0.5), np.array([[[0.5, 0.6, 0.45]]])
    picture = draw_difference(row, other, GRAY)
    side = picture.width // 3
    assert [picture.getpixel((side * n + 1, 1)) for n in range(3)] == [128, 255, 64]


def test_only_images_are_images() -> None:
    assert is_image(GRAY)
    assert not is_image({"kind": "table"})
    assert not is_image({})
