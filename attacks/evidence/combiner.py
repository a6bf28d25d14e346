"""Twin of the combiner: the sum of its pieces' twins."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import Twin, interpolated
from attacks.passes import Passes
from detectors.base import Detector
from detectors.combiner import Combiner


def combiner(detector: Combiner, twin_of: Callable[[Detector], Twin], leak: float = 0.0) -> Twin:
    """Pieces without any weight are left out. With a `leak` it has a slope everywhere."""
    moving = [piece for piece in detector.pieces if piece.moves]
    still = sum(float(piece.logit[0]) for piece in detector.pieces if not piece.moves)
    parts = [(twin_of(piece.detector), torch.tensor(piece.knots), torch.tensor(piece.logit)) for piece in moving]

    def score(passes: Passes) -> Tensor:
        added = [interpolated(twin(passes), knots, logit, leak) for twin, knots, logit in parts]
        if not added:
            return torch.full((len(passes.x),), still, dtype=torch.float64)
        each = torch.stack(added, dim=1)
        return each.amax(dim=1).clamp(min=0.0) if detector.rarest else each.sum(dim=1) + still

    return score
