"""Twins of detectors that look at logits, features and layers of the model."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import Twin, constant, straight_through
from attacks.losses import margin
from attacks.network import root
from attacks.passes import Passes
from detectors.deep_mahalanobis import DeepMahalanobis, LayerDistance
from detectors.deep_nearest import DeepNearest
from detectors.energy import Energy
from detectors.local_intrinsic_dimension import LocalIntrinsicDimension
from detectors.mahalanobis import Mahalanobis
from detectors.margin import Margin
from detectors.max_softmax import MaxSoftmax
from detectors.nearest import Nearest
from detectors.neighbors import Neighbors
from detectors.space import MOST, Space

_SHORTEST = 1e-12
_NEAR, _MOST_DIMENSION = 1e-9, 1e6


def energy(detector: Energy) -> Twin:
    """Twin of `energy`."""
    temperature = float(detector.temperature)
    return lambda passes: -temperature * torch.logsumexp(passes.outputs.logits / temperature, dim=1)


def margin_twin(detector: Margin) -> Twin:
    """Twin of `margin`."""
    return lambda passes: margin(passes.outputs.logits, passes.outputs.logits.argmax(dim=1))


def max_softmax(detector: MaxSoftmax) -> Twin:
    """Twin of `max_softmax`."""

    def score(passes: Passes) -> Tensor:
        logits = passes.outputs.logits
        likeliest = logits.argmax(dim=1, keepdim=True)
        others = logits.scatter(1, likeliest, -torch.inf)
        return torch.logsumexp(others, dim=1) - logits.gather(1, likeliest)[:, 0]

    return score


def coordinates(space: Space, passes: Passes) -> Tensor:
    """As `Space.coordinates`."""
    if space.features:
        features = passes.outputs.features
        assert features is not None, "fitted on a model with features"
        length = features.norm(dim=1, keepdim=True).clamp(min=_SHORTEST)
        raw = torch.cat([features / length, length.log()], dim=1)
    else:
        raw = torch.nan_to_num(passes.x.flatten(1), nan=0.0)
        missing = passes.x.detach().flatten(1).isnan()
        raw = torch.where(missing, torch.tensor(space.mean, dtype=raw.dtype), raw)
    z = ((raw - torch.tensor(space.mean)) * torch.tensor(space.scale)).float()
    if space.order is None or space.sign is None:
        return z
    order, sign = torch.tensor(space.order, dtype=torch.int64), constant(space.sign)
    return (z[:, order] * sign).reshape(len(z), MOST, -1).sum(dim=2)


def mahalanobis(detector: Mahalanobis) -> Twin:
    """Twin of `mahalanobis`."""
    weights, offsets = constant(detector.weights), constant(detector.offsets)
    d = len(weights)

    def score(passes: Passes) -> Tensor:
        found = coordinates(detector.space, passes) @ weights
        return (found[:, :d].square().sum(dim=1) + (found[:, d:] + offsets).amin(dim=1)).clamp(min=0.0)

    return score


def nearest(detector: Nearest) -> Twin:
    """Twin of `nearest`."""
    kept = constant(detector.kept)
    basis = None if detector.subspace is None else constant(detector.subspace.basis)

    def score(passes: Passes) -> Tensor:
        z = coordinates(detector.space, passes)
        if basis is not None:
            inside = z @ basis
            rest = z.square().sum(dim=1, keepdim=True) - inside.square().sum(dim=1, keepdim=True)
            z = torch.cat([inside, root(rest.clamp(min=0.0))], dim=1)
        with torch.no_grad():
            kth = torch.cdist(z, kept).kthvalue(detector.k, dim=1).indices
        return root((z - kept[kth]).square().sum(dim=1))

    return score


def deep_mahalanobis(detector: DeepMahalanobis) -> Twin:
    """Twin of `deep_mahalanobis`."""
    picked = [(layer.name, _distance(layer)) for layer in detector.layers[detector.which]]

    def score(passes: Passes) -> Tensor:
        classes = passes.outputs.logits.argmax(dim=1)
        found = [distance(passes.outputs.layers[name], classes) for name, distance in picked]
        return torch.stack(found, dim=1).amax(dim=1)

    return score


def _distance(layer: LayerDistance) -> Callable[[Tensor, Tensor], Tensor]:
    """As `LayerDistance`."""
    center, weights, means = (constant(a) for a in (layer.center, layer.weights, layer.means))
    middle, per_range = float(layer.middle), float(layer.per_range)

    def distance(values: Tensor, classes: Tensor) -> Tensor:
        y = (values - center) @ weights - means[classes]
        return (root(y.square().sum(dim=1)) - middle) * per_range

    return distance


def _squares(neighbors: Neighbors, values: Tensor) -> Tensor:
    """(n, m) squared distances to the kept rows."""
    z = (values - constant(neighbors.center)) * constant(neighbors.per_scale)
    if neighbors.directions:
        z = z / z.norm(dim=1, keepdim=True).clamp(min=_SHORTEST)
    kept = constant(neighbors.kept)
    return (z.square().sum(dim=1, keepdim=True) - 2.0 * z @ kept.T + constant(neighbors.squares)).clamp(min=0.0)


def deep_nearest(detector: DeepNearest) -> Twin:
    """Twin of `deep_nearest`: the count of neighbors of another class, with the slope of their distance."""
    labels = torch.tensor(detector.labels)

    def score(passes: Passes) -> Tensor:
        classes = passes.outputs.logits.argmax(dim=1, keepdim=True)
        exact, smooth = [], []
        for name, neighbors in zip(detector.names, detector.layers, strict=True):
            squares = _squares(neighbors, passes.outputs.layers[name])
            found = squares.topk(detector.k, dim=1, largest=False)
            exact.append((labels[found.indices] != classes).float().mean(dim=1))
            width = found.values.detach().mean(dim=1, keepdim=True).clamp(min=_SHORTEST)
            own = torch.where(labels == classes, squares, torch.inf).amin(dim=1, keepdim=True)
            other = torch.where(labels == classes, torch.inf, squares).amin(dim=1, keepdim=True)
            smooth.append(torch.sigmoid(torch.nan_to_num((own - other) / width, posinf=30.0, neginf=-30.0))[:, 0])
        return straight_through(torch.stack(exact).mean(dim=0), torch.stack(smooth).mean(dim=0))

    return score


def local_intrinsic_dimension(detector: LocalIntrinsicDimension) -> Twin:
    """Twin of `local_intrinsic_dimension`."""
    middle, per_range = constant(detector.middle), constant(detector.per_range)

    def score(passes: Passes) -> Tensor:
        found = []
        for name, neighbors in zip(detector.names, detector.layers, strict=True):
            near = _squares(neighbors, passes.outputs.layers[name]).topk(detector.k, dim=1, largest=False).values
            radius = near.clamp(min=_NEAR)
            growth = -0.5 * (radius / radius[:, -1:]).log().mean(dim=1)
            found.append((1.0 / growth.clamp(min=1.0 / _MOST_DIMENSION)).log())
        return ((torch.stack(found, dim=1) - middle) * per_range).mean(dim=1)

    return score
