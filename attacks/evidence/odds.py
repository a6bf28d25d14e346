"""Twins of what looks at shifts of log-odds: squeezed rows and rows with noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.evidence.base import Twin, constant
from attacks.evidence.squeezing import purified, through
from attacks.passes import Passes
from detectors.noise_stability import NoiseStability
from detectors.odds import MOST_SCORE, Odds
from detectors.squeezed_odds import SqueezedOdds


def squeezed_odds(detector: SqueezedOdds) -> Twin:
    """Twin of `squeezed_odds`."""
    parts = [(squeezer.name, purified(squeezer), odds_score(odds)) for squeezer, odds in detector.squeezers]

    def score(passes: Passes) -> Tensor:
        plain = passes.outputs.logits
        found = [measured(plain, through(passes, name, change).logits) for name, change, measured in parts]
        return torch.stack(found, dim=1).amax(dim=1)

    return score


def noise_stability(detector: NoiseStability) -> Twin:
    """Twin of `noise_stability`."""
    noises = [(noise.name, purified(noise)) for noise in detector.noises]
    measured = None if detector.odds is None else odds_score(detector.odds)

    def score(passes: Passes) -> Tensor:
        plain = passes.outputs.logits
        moved = [through(passes, name, change).logits for name, change in noises]
        if measured is not None:
            return measured(plain, torch.stack(moved).mean(dim=0))
        mean = torch.stack([logits.softmax(dim=1) for logits in moved]).mean(dim=0)
        return (mean - plain.softmax(dim=1)).abs().sum(dim=1)

    return score


def odds_score(odds: Odds) -> Callable[[Tensor, Tensor], Tensor]:
    """As `Odds.score`."""
    curve, ends, per_spread = constant(odds.curve), constant(odds.ends), constant(odds.per_spread)

    def score(plain: Tensor, moved: Tensor) -> Tensor:
        classes = plain.argmax(dim=1, keepdim=True)
        gap = plain - plain.gather(1, classes)
        shift = moved - moved.gather(1, classes) - gap
        own = classes[:, 0] if len(per_spread) > 1 else torch.zeros_like(classes[:, 0])
        inside = torch.minimum(torch.maximum(gap, ends[0, own]), ends[1, own])
        usual = curve[0, own] + inside * (curve[1, own] + inside * curve[2, own])
        found = ((shift - usual) * per_spread[own]).scatter(1, classes, -float(MOST_SCORE))
        return found.amax(dim=1).clamp(-float(MOST_SCORE), float(MOST_SCORE))

    return score
