"""Image rows as pictures a person can look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from models.batch import Array

_SIDE = 256  # pixels the shorter side is scaled up to, by whole factors, so that pixels stay square


def is_image(facts: Mapping[str, Any]) -> bool:
    """Whether rows of the input a store describes so can be drawn."""
    return bool(facts.get("kind") == "image")


def draw(row: Array, facts: Mapping[str, Any]) -> Image.Image:
    """One row as gray or color, its bounds black and white."""
    low, high = facts.get("bounds") or _extent(row)
    return _picture((_pixels(row, facts) - low) / max(high - low, 1e-12))


def draw_difference(row: Array, other: Array, facts: Mapping[str, Any]) -> Image.Image:
    """What was taken away is dark, what was added bright, no change gray; the largest change is scaled to full."""
    change = _pixels(other, facts) - _pixels(row, facts)
    most = float(np.abs(change).max()) or 1.0
    return _picture(0.5 + 0.5 * change / most)


def _pixels(row: Array, facts: Mapping[str, Any]) -> Array:
    """(height, width, 1 or 3) float64; of other channel counts the first channel."""
    image = np.nan_to_num(np.asarray(row, dtype=np.float64))
    if image.ndim == 2:
        image = image[:, :, None]
    elif facts.get("layout") == "NCHW":
        image = np.moveaxis(image, 0, -1)
    if image.shape[-1] == 4:
        return image[:, :, :3]
    return image if image.shape[-1] in (1, 3) else image[:, :, :1]


def _extent(row: Array) -> tuple[float, float]:
    finite = row[np.isfinite(row)] if row.dtype.kind == "f" else row
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _picture(shares: Array) -> Image.Image:
    levels = np.rint(255.0 * shares.clip(0.0, 1.0)).astype(np.uint8)
    picture = Image.fromarray(levels[:, :, 0] if levels.shape[-1] == 1 else levels)
    factor = max(1, round(_SIDE / min(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
