"""Rows that look, to the model, like an honest row of another class.

Sabour, Cao, Faghri, Fleet: Adversarial Manipulation of Deep Representations (ICLR 2016). Whatever looks at what the
model makes of a row then sees what it sees of an honest one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.evading.scene import Scene
from attacks.network import TorchOutputs


@dataclass(frozen=True, slots=True)
class Guides:
    """Honest rows (m, ...) in unit space that pass the chain, what the model makes of them (m, d), and their classes
    (m,).
    """

    rows: Tensor
    values: Tensor
    classes: Tensor

    def near(self, scene: Scene, which: Tensor, turn: int) -> Tensor:
        """(k,) for each of the rows `which` (k,) the place of the `turn`-th nearest guide of another class.

        Near is what the row's box comes close to, then what the model finds alike.
        """
        inside = torch.minimum(torch.maximum(self.rows[None], scene.low[which][:, None]), scene.high[which][:, None])
        gap = (inside - self.rows[None]).abs().flatten(2).mean(dim=2)
        gap = torch.where(self.classes[None] == scene.y[which][:, None], torch.inf, gap)
        return gap.argsort(dim=1)[:, min(turn, gap.shape[1] - 1)]


def values_of(outputs: TorchOutputs) -> Tensor:
    """(n, d) all that the chain may see of a pass: logits, features and layers."""
    parts = [outputs.logits, *([] if outputs.features is None else [outputs.features]), *outputs.layers.values()]
    return torch.cat([part.flatten(1).float() for part in parts], dim=1)


def match(scene: Scene, start: Tensor, which: Tensor, guides: Guides, picked: Tensor, steps: int) -> Tensor:
    """Rows (k, ...) from `start` whose passes come close to those of the `picked` (k,) guides, by Adam."""
    spread = guides.values.std(dim=0).clamp(min=1e-6)
    wanted, rows = guides.values[picked], start.clone()
    first, second = torch.zeros_like(rows), torch.zeros_like(rows)
    for k in range(1, steps + 1):
        leaf = rows.clone().requires_grad_(True)
        with torch.enable_grad():
            found = values_of(scene.look(leaf, which).outputs)
            loss = ((found - wanted) / spread).square().mean(dim=1)
            (slope,) = torch.autograd.grad(loss.sum(), leaf)
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope.square()
        move = (first / (1.0 - 0.9**k)) / ((second / (1.0 - 0.99**k)).sqrt() + 1e-8)
        rows = scene.inside(rows - 0.1 * (1.0 - k / (steps + 1.0)) * scene.room[which] * move, which)
    return rows
