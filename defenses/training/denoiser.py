"""Trains a small network to tell what was added to a row, from honest rows and noise of many strengths and grains.

Residual learning as in Zhang, Zuo, Chen, Meng, Zhang: Beyond a Gaussian Denoiser (2017). Attacks move neighbors alike:
with coarse noise too, a network on MNIST gave back the class of 58 % of PGD rows at 0.2, without of 10 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional

from defenses.base import Progress, silent
from defenses.network import Layer
from defenses.training.threads import one_thread
from models.batch import Array

BATCH = 64
_RATE = 2e-3
_GRAINS = (1, 2, 4)  # sizes, in folded places, of what is coarser than single values


@dataclass(frozen=True, slots=True)
class Course:
    """`noise` is the largest standard deviation, in the units of the rows; the work is fixed: `steps` batches.

    `folded` neighbors lie side by side as channels. `progress` is told how far it is.
    """

    noise: float
    steps: int
    seed: int
    folded: int = 1
    progress: Progress = silent


# The loss of cleaned rows (folded, as tensors) that were made of these rows; its slope is what is learned by.
Judge = Callable[[torch.Tensor, Array], torch.Tensor]


def train(
    x: Array, widths: Sequence[int], kernel: tuple[int, ...], course: Course, judge: Judge | None = None
) -> list[Layer]:
    """Layers that map a noisy row to (row - noisy row), or to what makes it good to a `judge`.

    `x` is (n, channels, height, width) or (n, columns) float32. `widths` are those of the hidden layers; `kernel` is ()
    for dense ones. On one machine, the same rows and seed give the same network.
    """
    rng = np.random.default_rng(course.seed)
    weights = _initial((x.shape[1], *widths, x.shape[1]), kernel, rng)
    optimizer = torch.optim.Adam(weights, lr=_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, course.steps)
    with torch.enable_grad(), one_thread():
        for step in range(course.steps):
            picked = rng.integers(0, len(x), BATCH)
            rows = torch.from_numpy(x[picked])
            noise = torch.from_numpy(_noise(rows.shape, course, rng))
            found = _forward(weights, rows + noise)
            loss = functional.mse_loss(found, -noise) if judge is None else judge(rows + noise + found, picked)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            decay.step()
            course.progress("train a network", step + 1, course.steps)
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


def _noise(shape: Sequence[int], course: Course, rng: np.random.Generator) -> Array:
    """Each row's own mixture of grains, of its own strength; in turn Gaussian, and of one size everywhere, as attacks
    within a box make it.
    """
    n, ones = shape[0], [1] * (len(shape) - 1)
    grains = [rng.standard_normal(shape)]
    if ones[1:]:
        grains += [_coarse(shape, course.folded, size, rng) for size in _GRAINS]
    parts = np.sqrt(rng.dirichlet(np.full(len(grains), 0.5), n).T.reshape(len(grains), n, *ones))
    noise = sum(part * grain for part, grain in zip(parts, grains, strict=True))
    noise[1::2] = np.sign(noise[1::2])
    return np.asarray((noise * rng.uniform(0.0, course.noise, (n, *ones))).astype(np.float32))


def _coarse(shape: Sequence[int], folded: int, size: int, rng: np.random.Generator) -> Array:
    """The same in squares of `size` folded places, all values of which are alike."""
    n, channels, height, width = shape
    grain = rng.standard_normal((n, channels // folded, -(-height // size), -(-width // size)))
    grain = grain.repeat(size, axis=2).repeat(size, axis=3)[:, :, :height, :width]
    return np.asarray(grain.repeat(folded, axis=1))


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
