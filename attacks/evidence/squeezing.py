"""Twins of feature squeezing and of the purifiers that it squeezes with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import onnx
import torch
from torch import Tensor

from attacks.evidence.base import Twin, straight_through
from attacks.network import TorchOutputs
from attacks.passes import Passes
from defenses.base import Purifier
from defenses.denoising_autoencoder import DenoisingAutoencoder
from defenses.median import Median
from defenses.training.places import Places
from detectors.feature_squeezing import FeatureSqueezing
from models.gradients import differentiable

Change = Callable[[Tensor, np.dtype[np.generic]], Tensor]  # rows, and the dtype that the model takes


def feature_squeezing(detector: FeatureSqueezing) -> Twin:
    """Twin of `feature_squeezing`."""
    squeezers = [(squeezer.name, purified(squeezer)) for squeezer in detector.squeezers]

    def score(passes: Passes) -> Tensor:
        plain = passes.outputs.logits.softmax(dim=1)
        gaps = []
        for name, change in squeezers:
            squeezed = through(passes, name, change).logits.softmax(dim=1)
            gaps.append((squeezed - plain).abs().sum(dim=1))
        return torch.stack(gaps, dim=1).amax(dim=1)

    return score


def through(passes: Passes, name: str, change: Change) -> TorchOutputs:
    """The answer to purified rows."""
    return passes.through(name, lambda x: change(x, passes.network.spec.dtype))


def purified(purifier: Purifier) -> Change:
    """What a purifier does, with its slope: exact for medians and networks, else that of the identity.

    The latter is backward pass differentiable approximation (Athalye, Carlini, Wagner, ICML 2018), good for whatever
    leaves an input about as it was.
    """
    if isinstance(purifier, DenoisingAutoencoder):
        return _network(purifier)
    return _median(purifier) if isinstance(purifier, Median) and not purifier.missing else _identity_slope(purifier)


def _identity_slope(purifier: Purifier) -> Change:
    def change(x: Tensor, dtype: np.dtype[np.generic]) -> Tensor:
        pure = purifier.apply(x.detach().numpy().astype(dtype))
        return straight_through(torch.tensor(pure).to(x.dtype), x)

    return change


def _network(purifier: DenoisingAutoencoder) -> Change:
    added = differentiable(onnx.load_model_from_string(purifier.network.graph.tobytes()))

    def change(x: Tensor, dtype: np.dtype[np.generic]) -> Tensor:
        places = Places.of(purifier.folding, purifier.scale, tuple(x.shape[1:]))
        pure = torch.tensor(purifier.apply(x.detach().numpy().astype(dtype))).to(x.dtype)
        return straight_through(pure, x + places.by(added(places.enter(x))).to(x.dtype))

    return change


def _median(purifier: Median) -> Change:
    mirror = torch.tensor(purifier.mirror).flatten()

    def change(x: Tensor, dtype: np.dtype[np.generic]) -> Tensor:
        padded = x.flatten(1)[:, mirror].reshape(len(x), *purifier.mirror.shape)
        windows = []
        for offsets in product(range(purifier.size), repeat=len(purifier.axes)):
            part = padded
            for axis, offset in zip(purifier.axes, offsets, strict=True):
                part = part.narrow(axis, offset, padded.shape[axis] - purifier.size + 1)
            windows.append(part)
        ordered: Tensor = torch.stack(windows).sort(dim=0).values
        return ordered[len(windows) // 2]

    return change
