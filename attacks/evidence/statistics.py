"""Twins of the statistics of images, series and tables.

What counts (shares, histograms) keeps its exact value and takes the slope of a smooth count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import Twin, constant, straight_through
from attacks.evidence.images import image_figures
from attacks.evidence.series import series_figures
from attacks.evidence.tables import table_distances
from attacks.network import root
from attacks.passes import Passes
from detectors.input_statistics import InputStatistics
from detectors.statistics.gaussian import FAR, Gaussian
from detectors.statistics.images import ImageStatistics
from detectors.statistics.shapes import ShapeStatistics


def input_statistics(detector: InputStatistics) -> Twin:
    """Twin of `input_statistics`."""
    statistics = detector.statistics
    distances = shape_distances(statistics) if isinstance(statistics, ShapeStatistics) else table_distances(statistics)
    middle, per_range = constant(detector.middle), constant(detector.per_range)

    def score(passes: Passes) -> Tensor:
        found = passes.once(detector.shared, lambda: distances(passes.x))
        return ((found[:, detector.columns] - middle) * per_range).amax(dim=1)

    return score


def shape_distances(statistics: ShapeStatistics) -> Callable[[Tensor], Tensor]:
    """As `ShapeStatistics.distances`, (n, looks)."""
    figures = statistics.figures
    measured = image_figures(figures) if isinstance(figures, ImageStatistics) else series_figures(figures)
    distance = _gaussian(statistics.gaussian)
    return lambda x: distance(measured(x))


def _gaussian(gaussian: Gaussian) -> Callable[[Tensor], Tensor]:
    center, per_scale, weights = (constant(a) for a in (gaussian.center, gaussian.per_scale, gaussian.weights))
    ends = [*gaussian.starts[1:].tolist(), len(center)]
    looks = [slice(start, stop) for start, stop in zip(gaussian.starts.tolist(), ends, strict=True)]

    def distances(figures: Tensor) -> Tensor:
        free = (figures - center) * per_scale
        z = straight_through(free.clamp(-FAR, FAR), free)
        squares = (z @ weights).square()
        return torch.stack([root(squares[:, look].sum(dim=1)) for look in looks], dim=1)

    return distances
