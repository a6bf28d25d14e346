from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.data import Images, Labeled, to_grid
from benchmarks.detection.attacks import Attacker


class Brightness(nn.Module):
    """Class 1 where the mean is above one half."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


def gray(levels: list[int]) -> Labeled:
    x = to_grid(np.array(levels)[:, None, None, None] / 255.0 * np.ones((1, 1, 28, 28)))
    return Labeled(x, (np.array(levels) > 127).astype(np.int64))


def brighter(rows: Labeled, levels: int) -> Images:
    return np.asarray(rows.x + np.float32(levels / 255.0), dtype=np.float32)


def test_only_rows_still_wrong_after_rounding_count() -> None:
    rows = gray([126, 127, 200])
    attacked = rows.x + np.float32(0.7 / 255)  # 126.7 rounds to 127, 127.7 to 128: past the middle
    probe = Attacker(Brightness().eval()).probe("up", rows, attacked)
    assert (len(probe.x), probe.tried) == (1, 3)
    np.testing.assert_array_equal(probe.x, gray([128]).x)
    assert probe.accuracy == np.float64(2 / 3)


def test_unrounded_rows_are_kept_as_they_are() -> None:
    rows = gray([127])
    probe = Attacker(Brightness().eval()).probe("up", rows, rows.x + np.float32(0.6 / 255), rounded=False)
    assert probe.x.shape == rows.x.shape
    assert not np.array_equal(probe.x, to_grid(probe.x))


def test_rows_that_were_wrong_anyway_are_no_attacks() -> None:
    rows = gray([10, 200])
    swapped = Labeled(rows.x, 1 - rows.y)
    assert len(Attacker(Brightness().eval()).probe("none", swapped, swapped.x).x) == 0


def test_the_smallest_strength_that_fools_is_found() -> None:
    assert Attacker(Brightness().eval()).smallest(brighter, gray([118] * 20)) == 10


def test_there_may_be_no_such_strength() -> None:
    assert Attacker(Brightness().eval()).smallest(brighter, gray([5] * 20)) is None


def test_one_step_of_fgsm_stays_within_its_strength() -> None:
    rows = gray([120, 200])
    attacked = to_grid(Attacker(Brightness().eval()).fgsm(rows, 10))
    np.testing.assert_array_equal(attacked, gray([130, 190]).x)
