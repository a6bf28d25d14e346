"""What images and series have in common: values in [0, 1], sizes of residuals, how values are distributed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import constant, straight_through
from attacks.network import root
from detectors.statistics.pixels import Pixels

# As `detectors.statistics.sizes` and `detectors.statistics.values` have them.
_ZERO, _SMALL = 2e-4, 1e-3
_BINS, _LEVELS = 16, 256
_SOFT_SHARE = 1e-3  # widths of the smooth steps that stand for sharp ones: of a residual,
_SOFT_LEVELS = 2.0  # and of a value


def scaled(pixels: Pixels) -> Callable[[Tensor], Tensor]:
    """As `Pixels`: (n, channels, ...) in [0, 1]."""
    low, per_range = constant(pixels.low), constant(pixels.per_range)

    def scale(x: Tensor) -> Tensor:
        moved = x[:, None] if pixels.channel is None else x.movedim(pixels.channel, 1)
        shape = (-1, *[1] * (moved.ndim - 2))
        return torch.nan_to_num((moved.float() - low.reshape(shape)) * per_range.reshape(shape)).clamp(0.0, 1.0)

    return scale


def sizes(maps: Tensor) -> Tensor:
    """As `sizes.sizes`: (n, 5 maps) of absolute residuals (n, maps, values)."""
    size = maps.shape[2]
    ordered = maps.sort(dim=2).values
    share = straight_through((maps > _ZERO).float(), torch.sigmoid((maps - _ZERO) / _SOFT_SHARE)).mean(dim=2)
    found = [
        (maps.mean(dim=2) + 0.1 * _SMALL).log(),
        (root(maps.square().mean(dim=2)) + 0.1 * _SMALL).log(),
        share,
        (ordered[:, :, size // 2] + _SMALL).log(),
        (ordered[:, :, size * 9 // 10] + _SMALL).log(),
    ]
    return torch.cat(found, dim=1)


def values(rows: Tensor) -> Tensor:
    """As `values.values`: (n, 21) of (n, values) in [0, 1]."""
    mean = rows.mean(dim=1)
    spread = root(rows.square().mean(dim=1) - mean.square())
    place = rows * (_LEVELS - 1) + 0.5
    levels = place.detach().long()
    counts = torch.zeros(len(rows), _LEVELS).scatter_add_(1, levels, torch.ones_like(rows)) / rows.shape[1]
    at_low = straight_through(counts[:, 0], _below(place, 1.0))
    at_high = straight_through(counts[:, -1], 1.0 - _below(place, _LEVELS - 1.0))
    edges = [_below(place, float(edge)) for edge in range(0, _LEVELS + 1, _LEVELS // _BINS)]
    shares = torch.stack(edges, dim=1).diff(dim=1)
    exact = counts.reshape(len(rows), _BINS, _LEVELS // _BINS).sum(dim=2).sqrt()
    histogram = straight_through(exact, root(shares))
    distinct = (counts > 0.0).float().sum(dim=1) / _LEVELS
    return torch.cat([torch.stack([mean, spread, at_low, at_high], dim=1), histogram, distinct[:, None]], dim=1)


def _below(place: Tensor, edge: float) -> Tensor:
    """(n,) about the share of values below a level."""
    return torch.sigmoid((edge - place) / _SOFT_LEVELS).mean(dim=1)


def spreads(flat: Tensor, empty: float) -> Tensor:
    """Logarithms of the eigenvalues of the covariance of (n, axes, samples), ascending."""
    flat = flat - flat.mean(dim=2, keepdim=True)
    covariance = flat @ flat.transpose(1, 2) / flat.shape[2]
    found: Tensor = (torch.linalg.eigvalsh(covariance).clamp(min=0.0) + empty).log()
    return found
