"""Twin of the contract, of its learned range: what is refused for certain, feasible rows never are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attacks.evidence.base import Twin, straight_through
from attacks.passes import Passes
from detectors.contract import Contract


def contract(detector: Contract) -> Twin:
    """How far values lie outside their learned range, and how many."""
    rules = detector.rules
    low, high, unit = (torch.tensor(np.asarray(a, dtype=np.float64)) for a in (rules.low, rules.high, rules.unit))

    def score(passes: Passes) -> Tensor:
        x = passes.x.flatten(1).double()
        excess = torch.nan_to_num(torch.maximum(low - x, x - high) / unit, nan=0.0).clamp(min=0.0)
        count = straight_through((excess > 0.0).double(), excess / (excess.detach() + 1e-3))
        return (excess + count).sum(dim=1)

    return score
