"""Twins of what sends rows through a trained network, with the network's own slope."""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.evidence.base import Twin, constant
from attacks.evidence.odds import odds_score
from attacks.evidence.squeezing import purified, through
from attacks.network import root
from attacks.passes import Passes
from detectors.adversarial_autoencoder import AdversarialAutoencoder
from detectors.reconstruction import ComponentError, NetworkError

_MOST = 1e6  # as `detectors.reconstruction` has it


def adversarial_autoencoder(detector: AdversarialAutoencoder) -> Twin:
    """Twin of `adversarial_autoencoder`."""
    name, change = detector.autoencoder.name, purified(detector.autoencoder)
    measured = None if detector.odds is None else odds_score(detector.odds)

    def score(passes: Passes) -> Tensor:
        plain, moved = passes.outputs.logits, through(passes, name, change).logits
        if measured is not None:
            return measured(plain, moved)
        p, q = (torch.log_softmax(logits / detector.temperature, dim=1) for logits in (plain, moved))
        return (p.exp() * (p - q)).sum(dim=1).clamp(min=0.0)

    return score


def network_error(detector: NetworkError) -> Twin:
    """Twin of `reconstruction` of images and series."""
    change = purified(detector.network)

    def score(passes: Passes) -> Tensor:
        gap = torch.nan_to_num(change(passes.x, passes.network.spec.dtype) - passes.x, nan=0.0)
        return gap.abs().flatten(1).mean(dim=1) * detector.per_range

    return score


def component_error(detector: ComponentError) -> Twin:
    """Twin of `reconstruction` of tables."""
    components = constant(detector.components)
    mean, spread = (torch.tensor(a, dtype=torch.float64) for a in (detector.columns.mean, detector.columns.spread))

    def score(passes: Passes) -> Tensor:
        z = torch.nan_to_num(((passes.x.flatten(1) - mean) / spread).float(), nan=0.0).clamp(-_MOST, _MOST)
        return root((z - (z @ components) @ components.T).square().sum(dim=1))

    return score
