"""Discrete search on the grid, asking the chain itself: parts of the change are taken back, shrunk or shaken.

It sees what has no gradient: counts, sets, gates, stages whose code nobody can differentiate. Square patches are as in
Andriushchenko, Croce, Flammarion, Hein: Square Attack (ECCV 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor

from attacks.evading.best import Best
from attacks.evading.scene import Scene


def search(scene: Scene, best: Best, *, rounds: int, seed: int, finest: float) -> None:
    """So many tries on every row that does not evade yet; `finest` is the grid's step in unit space."""
    random = torch.Generator().manual_seed(seed)
    for k in range(rounds):
        which = best.left
        if len(which) == 0:
            return
        clean, now = scene.clean[which], best.rows[which]
        share = 0.5 * (1.0 - k / rounds) ** 2 + 0.002
        patch = _patches(now, share, random)
        kind = int(torch.randint(4, (), generator=random))
        if kind == 0:  # as it was
            tried = torch.where(patch, clean, now)
        elif kind == 1:  # half as much
            tried = torch.where(patch, clean + 0.5 * (now - clean), now)
        elif kind == 2:  # a step or a few
            noise = torch.randint(-3, 4, now.shape, generator=random).to(now.dtype) * max(finest, 1e-3)
            tried = torch.where(patch, now + noise, now)
        else:  # all the way, in one direction
            sign = torch.randint(0, 2, (len(now), *[1] * (now.ndim - 1)), generator=random).to(now.dtype) * 2.0 - 1.0
            tried = torch.where(patch, clean + sign * scene.room[which], now)
        best.offer(scene.inside(tried, which), which)


def _patches(rows: Tensor, share: float, random: torch.Generator) -> Tensor:
    """(n, ...) masks: a square of that share of an image, or values drawn one by one."""
    if rows.ndim < 4:
        return torch.rand(rows.shape, generator=random) < max(share, 1.0 / rows[0].numel())
    height, width = rows.shape[-2:]
    side = max(round((share * height * width) ** 0.5), 1)
    top = torch.randint(0, max(height - side, 0) + 1, (len(rows),), generator=random)
    left = torch.randint(0, max(width - side, 0) + 1, (len(rows),), generator=random)
    i, j = torch.arange(height)[None], torch.arange(width)[None]
    inside_i = (i >= top[:, None]) & (i < top[:, None] + side)
    inside_j = (j >= left[:, None]) & (j < left[:, None] + side)
    mask = (inside_i[:, :, None] & inside_j[:, None, :]).reshape(len(rows), *[1] * (rows.ndim - 3), height, width)
    found: Tensor = mask.expand(rows.shape)
    return found
