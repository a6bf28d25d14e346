from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attacks.feasible import UNIT
from attacks.grid import still_adversarial
from attacks.patches import patches


def model(x: Tensor) -> Tensor:
    """Whether the middle is lighter than the rest; not differentiable, and need not be."""
    flat = x.flatten(2)
    middle = flat[..., flat.shape[-1] // 3 : 2 * flat.shape[-1] // 3].mean(dim=(1, 2))
    side = ((middle - flat.mean(dim=(1, 2))) * 1000).round() / 1000
    return torch.stack([side, -side], dim=1)


@pytest.mark.parametrize(("shape", "axes"), [((3, 12, 12), (2, 3)), ((2, 60), (2,))], ids=["image", "series"])
def test_squares_win_rows_inside_the_ball(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = torch.full((20, *shape), 0.5)
    x.flatten(2)[..., x.flatten(2).shape[-1] // 2] += 0.3
    y = model(x).argmax(dim=1)
    found = patches(model, x, y, epsilon=0.1, bounds=UNIT, seed=0, axes=axes)
    assert still_adversarial(model, found, y).float().mean() > 0.9
    assert float((found - x).abs().max()) <= 0.1 + 1e-6
    assert torch.equal(found, patches(model, x, y, epsilon=0.1, bounds=UNIT, seed=0, axes=axes))


def test_each_row_has_its_own_epsilon() -> None:
    x = torch.full((4, 1, 8, 8), 0.5)
    epsilon = torch.tensor([0.05, 0.1, 0.2, 0.4]).reshape(-1, 1, 1, 1)
    moved = (patches(model, x, model(x).argmax(dim=1), epsilon=epsilon, bounds=UNIT, seed=0, axes=(2, 3)) - x).abs()
    assert torch.allclose(moved.flatten(1).amax(dim=1), epsilon.flatten(), atol=1e-6)
