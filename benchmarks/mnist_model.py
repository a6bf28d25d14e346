"""The MNIST classifier that detection benchmarks attack: a three-layer CNN."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import nn

from benchmarks.data import CACHE, Labeled
from benchmarks.networks import Trained, fit_with_adam, once

EPOCHS = 2
SHAPE = (1, 28, 28)


def build() -> nn.Sequential:
    """Two convolutions and a hidden dense layer before the classes; input (n, 1, 28, 28) in [0, 1]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def trained(train: Labeled, folder: Path = CACHE / "mnist") -> Trained:
    """The network trained on these rows, from the cache where it was trained before."""
    return once(build, partial(fit_with_adam, train=train, epochs=EPOCHS), folder, SHAPE)
