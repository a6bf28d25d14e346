"""Trains a network to give noisy rows back the answers that a model gave to the clean ones.

Vacanti, Van Looveren: Adversarial Detection and Correction by Matching Prediction Distributions (2020), on noisy rows
as Liao, Liang, Dong, Pang, Hu, Zhu: Defense against Adversarial Attacks Using High-Level Representation Guided Denoiser
(CVPR 2018) do: a network that adds to its input would otherwise learn to add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from defenses.network import Layer
from defenses.training.denoiser import Course, train
from defenses.training.places import Places
from models.batch import Array


def guided(
    rows: Array,
    widths: Sequence[int],
    kernel: tuple[int, ...],
    course: Course,
    places: Places,
    logits: Array,
    model: Callable[[Any, Array], Any],
) -> list[Layer]:
    """As `train`, of folded `rows`; `logits` (n, classes) are the model's, who tells those of other values for rows
    (tensors, with the rows' indices), differentiably.
    """
    answers = torch.log_softmax(torch.tensor(logits, dtype=torch.float32), dim=1)

    def judge(cleaned: Tensor, picked: Array) -> Tensor:
        found = torch.log_softmax(model(places.leave(cleaned), picked), dim=1)
        expected = answers[torch.tensor(picked)]
        return functional.kl_div(found, expected, log_target=True, reduction="batchmean")

    return train(rows, widths, kernel, course, judge)
