"""Twin of the statistics of series."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attacks.evidence.figures import scaled, sizes, spreads, values
from detectors.statistics.series import SeriesStatistics

# As `detectors.statistics.series` has them.
_WINDOW, _EMPTY, _AROUND = 5, 1e-7, 2


def series_figures(statistics: SeriesStatistics) -> Callable[[Tensor], Tensor]:
    """As `SeriesStatistics`: (n, figures)."""
    scale = scaled(statistics.pixels)

    def figures(x: Tensor) -> Tensor:
        lines = scale(x)
        return torch.cat([_noise(lines), sizes(_maps(lines)), _spectrum(lines), values(lines.flatten(1))], dim=1)

    return figures


def _noise(lines: Tensor) -> Tensor:
    return spreads(lines.unfold(2, _WINDOW, 1).permute(0, 3, 1, 2).flatten(2), _EMPTY)


def _maps(lines: Tensor) -> Tensor:
    before, here, after = lines[..., :-2], lines[..., 1:-1], lines[..., 2:]
    median = torch.stack([before, here, after]).median(dim=0).values
    maps = [after - here, after - here - here + before, here - median]
    return torch.stack([part.flatten(1).abs() for part in maps], dim=1)


def _spectrum(lines: Tensor) -> Tensor:
    length = lines.shape[2]
    found = torch.fft.rfft(lines, dim=2)[:, :, 1 : length // 2 + 1]
    mean = (found.real.square() + found.imag.square()).mean(dim=1) / length + _EMPTY
    starts = (2 ** np.arange(int(np.log2(length // 2))) - 1).tolist()
    octaves = [part.sum(dim=1).log() for part in mean.tensor_split(starts[1:], dim=1)]
    logs = mean.log()
    around = functional.pad(logs[:, None], (_AROUND, _AROUND), mode="replicate")[:, 0].unfold(1, 2 * _AROUND + 1, 1)
    residual = logs - around.mean(dim=2)
    sticking = [residual.amax(dim=1), residual.std(dim=1, correction=0)]
    return torch.stack([*octaves, *sticking], dim=1)
