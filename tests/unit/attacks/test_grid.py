from __future__ import annotations

import torch
from torch import Tensor

from attacks.grid import on_grid, predicted, still_adversarial
from models.batch import Bounds


def test_on_grid_moves_to_the_nearest_step() -> None:
    rows = torch.tensor([[0.0, 0.03, 0.04, 0.5, 0.97, 1.0]])
    expected = torch.tensor([[0.0, 0.0, 0.0625, 0.5, 1.0, 1.0]])
    assert torch.equal(on_grid(rows, step=1 / 16, bounds=Bounds(0.0, 1.0)), expected)


def test_only_rows_that_fool_the_model_are_still_adversarial(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    assert not still_adversarial(net, x, y).any()
    assert still_adversarial(net, x, (y + 1) % 3).all()
    assert torch.equal(predicted(net, torch.cat([x] * 20)), torch.cat([y] * 20))
    assert len(predicted(net, x[:0])) == 0
