"""The CIFAR-10 classifier that benchmarks attack: a small ResNet."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.data import CACHE, Labeled
from benchmarks.networks import BATCH_ROWS, SEED, Trained, batches, once

EPOCHS = 8
RATE = 0.15
SHAPE = (3, 32, 32)


class Block(nn.Module):
    """Two convolutions and a way around them (He et al., Deep Residual Learning, CVPR 2016)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outer),
        )
        around = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        self.around = nn.Identity() if inner == outer and stride == 1 else around

    def forward(self, x: Tensor) -> Tensor:
        """(n, inner, h, w) to (n, outer, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.around(x))


class Centered(nn.Module):
    """Pixels of [0, 1] as the network wants them."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return (x - 0.47) / 0.25


def build() -> nn.Sequential:
    """Four blocks of 16 to 128 channels; input (n, 3, 32, 32) in [0, 1]."""
    stem = [Centered(), nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), Block(64, 128, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def trained(train: Labeled, folder: Path = CACHE / "cifar10") -> Trained:
    """The network trained on these rows, from the cache where it was trained before."""
    return once(build, partial(fit, train=train), folder, SHAPE)


def fit(network: nn.Module, train: Labeled, epochs: int = EPOCHS) -> None:
    """SGD with one cycle of its rate, in bfloat16 where that is exact enough; rows mirrored and moved by chance."""
    order = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = epochs * (len(train) // BATCH_ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    network.train()
    for epoch in range(epochs):
        for x, y in batches(train, order):
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(network(varied(x, order)), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        print(f"training the CIFAR-10 model: epoch {epoch + 1} of {epochs}", file=sys.stderr, flush=True)


def varied(x: Tensor, random: torch.Generator, most: int = 2) -> Tensor:
    """Each row mirrored or not; all moved by the same few pixels, the edge repeated."""
    mirrored = torch.rand(len(x), generator=random) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    down, right = torch.randint(0, 2 * most + 1, (2,), generator=random).tolist()
    wide = nn.functional.pad(x, (most, most, most, most), mode="replicate")
    return wide[:, :, down : down + x.shape[2], right : right + x.shape[3]]
