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
from detectors.class_statistics import ClassStatistics
from detectors.input_statistics import InputStatistics
from detectors.statistics.gaussian import FAR, Gaussian
from detectors.statistics.images import ImageStatistics
from detectors.statistics.shapes import Figures, ShapeStatistics


def input_statistics(detector: InputStatistics) -> Twin:
    """Twin of `input_statistics`."""
    statistics = detector.statistics
    if isinstance(statistics, ShapeStatistics):
        figures, each = figures_of(statistics.figures), [gaussian(learned) for learned in statistics.gaussians]

        def nearest(passes: Passes) -> Tensor:
            measured = figures(passes)
            return torch.stack([distance(measured) for distance in each]).amin(dim=0)

        return _standard(detector, nearest)
    table = table_distances(statistics)
    return _standard(detector, lambda passes: table(passes.x))


def class_statistics(detector: ClassStatistics) -> Twin:
    """Twin of `class_statistics`."""
    figures, which = figures_of(detector.figures), torch.tensor(detector.which)
    gaussians = [gaussian(one) for one in detector.gaussians]

    def distances(passes: Passes) -> Tensor:
        measured, own = figures(passes), which[passes.outputs.logits.argmax(dim=1)]
        parts = {index: gaussians[index](measured[own == index]) for index in torch.unique(own).tolist()}
        order = torch.cat([torch.nonzero(own == index)[:, 0] for index in parts])
        return torch.cat(list(parts.values()))[order.argsort()]

    return _standard(detector, distances)


def _standard(detector: InputStatistics | ClassStatistics, distances: Twin) -> Twin:
    """The largest distance of the looks asked for, on the detector's scale."""
    middle, per_range = constant(detector.middle), constant(detector.per_range)

    def score(passes: Passes) -> Tensor:
        found = passes.once(detector.shared, lambda: distances(passes))
        return ((found[:, detector.columns] - middle) * per_range).amax(dim=1)

    return score


def figures_of(figures: Figures) -> Twin:
    """As `Figures.of`, (n, figures)."""
    kind = figures.measures
    measured = image_figures(kind) if isinstance(kind, ImageStatistics) else series_figures(kind)
    return lambda passes: passes.once(figures.key, lambda: measured(passes.x))


def gaussian(learned: Gaussian) -> Callable[[Tensor], Tensor]:
    """As `Gaussian.distances`, (n, looks)."""
    center, per_scale, weights = (constant(a) for a in (learned.center, learned.per_scale, learned.weights))
    ends = [*learned.starts[1:].tolist(), len(center)]
    looks = [slice(start, stop) for start, stop in zip(learned.starts.tolist(), ends, strict=True)]

    def distances(figures: Tensor) -> Tensor:
        free = (figures - center) * per_scale
        z = straight_through(free.clamp(-FAR, FAR), free)
        squares = (z @ weights).square()
        return torch.stack([root(squares[:, look].sum(dim=1)) for look in looks], dim=1)

    return distances
