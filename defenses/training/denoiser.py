"""Trains a small network to tell what was added to a row, from honest rows and Gaussian noise of many strengths.

Residual learning as in Zhang, Zuo, Chen, Meng, Zhang: Beyond a Gaussian Denoiser (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional

from defenses.network import Layer
from models.batch import Array

BATCH = 64
_RATE = 2e-3


@dataclass(frozen=True, slots=True)
class Course:
    """`noise` is the largest standard deviation, in the units of the rows; the work is fixed: `steps` batches."""

    noise: float
    steps: int
    seed: int


def train(x: Array, widths: Sequence[int], kernel: tuple[int, ...], course: Course) -> list[Layer]:
    """Layers that map a noisy row to (row - noisy row). `x` is (n, channels, height, width) or (n, columns) float32.

    `widths` are those of the hidden layers; `kernel` is () for dense ones. On one machine, the same rows and
    seed give the same network.
    """
    rng = np.random.default_rng(course.seed)
    weights = _initial((x.shape[1], *widths, x.shape[1]), kernel, rng)
    optimizer = torch.optim.Adam(weights, lr=_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, course.steps)
    with torch.enable_grad():
        for _ in range(course.steps):
            rows = torch.from_numpy(x[rng.integers(0, len(x), BATCH)])
            noise = torch.from_numpy(_noise(rows.shape, course.noise, rng))
            loss = functional.mse_loss(_forward(weights, rows + noise), -noise)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
    arrays = [weight.detach().numpy() for weight in weights]
    return [Layer(*pair) for pair in zip(arrays[::2], arrays[1::2], strict=True)]


def _initial(widths: Sequence[int], kernel: tuple[int, ...], rng: np.random.Generator) -> list[torch.Tensor]:
    """Weights and biases in turn (He, Zhang, Ren, Sun 2015); the last layer starts small: rows begin unchanged."""
    weights = []
    for index, (before, after) in enumerate(pairwise(widths)):
        scale = np.sqrt(2.0 / (before * np.prod(kernel))) * (0.1 if index == len(widths) - 2 else 1.0)
        weight = rng.normal(0.0, scale, (after, before, *kernel)).astype(np.float32)
        weights += [torch.from_numpy(array).requires_grad_() for array in (weight, np.zeros(after, np.float32))]
    return weights


def _noise(shape: Sequence[int], most: float, rng: np.random.Generator) -> Array:
    strength = rng.uniform(0.0, most, (shape[0], *(1 for _ in shape[1:])))
    return np.asarray((rng.standard_normal(shape) * strength).astype(np.float32))


def _forward(weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    for index in range(0, len(weights), 2):
        weight, bias = weights[index], weights[index + 1]
        if weight.ndim == 2:
            x = functional.linear(x, weight, bias)
        else:
            x = functional.conv2d(x, weight, bias, padding=(weight.shape[2] // 2, weight.shape[3] // 2))
        if index < len(weights) - 2:
            x = functional.relu(x)
    return x
