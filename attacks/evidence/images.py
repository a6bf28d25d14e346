"""Twin of the statistics of images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.figures import scaled, sizes, spreads, values
from detectors.statistics.images import ImageStatistics

# As `detectors.statistics.images` has them.
_MOST_CHANNELS, _PATCHES, _EMPTY = 4, 16384, 1e-7


def image_figures(statistics: ImageStatistics) -> Callable[[Tensor], Tensor]:
    """As `ImageStatistics`: (n, figures)."""
    scale = scaled(statistics.pixels)

    def figures(x: Tensor) -> Tensor:
        cube = scale(x)
        return torch.cat([_noise(cube), sizes(_maps(cube)), values(cube.flatten(1))], dim=1)

    return figures


def _noise(x: Tensor) -> Tensor:
    if x.shape[1] > _MOST_CHANNELS:
        x = x.mean(dim=1, keepdim=True)
    height, width = x.shape[2:]
    step = max(1, round((height * width / _PATCHES) ** 0.5))
    places = [
        x[:, :, i : i + height - 2 : step, j : j + width - 2 : step].flatten(2) for i in range(3) for j in range(3)
    ]
    return spreads(torch.stack(places, dim=2).flatten(1, 2), _EMPTY)


def _maps(x: Tensor) -> Tensor:
    """(n, 5, values), of all pixels that have neighbors on each side."""
    height, width = x.shape[2:]
    windows = torch.stack([x[:, :, i : i + height - 2, j : j + width - 2] for i in range(3) for j in range(3)])
    corner, above, left, middle = windows[0], windows[1], windows[3], windows[4]
    maps = [
        middle - windows.median(dim=0).values,
        middle - windows.mean(dim=0),
        middle - left,
        middle - above,
        middle - left - above + corner,
    ]
    return torch.stack([part.flatten(1).abs() for part in maps], dim=1)
