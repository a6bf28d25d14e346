from __future__ import annotations

import torch
from torch import Tensor

from attacks.boundary import back, boundary
from attacks.feasible import UNIT
from attacks.grid import still_adversarial

WEIGHT = torch.tensor([[1.0, -1.0]])


def model(x: Tensor) -> Tensor:
    """Two classes on either side of x0 = x1, seen on the grid k/100."""
    seen = x + ((x * 100).round() / 100 - x).detach()
    side = seen @ WEIGHT.to(seen.dtype).T
    return torch.cat([side, -side], dim=1)


def test_rows_end_up_just_over_the_boundary_and_those_never_won_stay() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.rand(60, 2, generator=random) * 0.4
    x[:, 0] += 0.5
    y = model(x).argmax(dim=1)
    found = boundary(model, x, y, bounds=UNIT, seed=0)
    won = still_adversarial(model, found, y)
    assert won.float().mean() > 0.9
    assert (found[:, 1] - found[:, 0])[won].max() < 0.03
    assert torch.equal(found[~won], x[~won])
    assert torch.equal(found, boundary(model, x, y, bounds=UNIT, seed=0))


def test_the_way_back_stops_where_a_row_is_barely_won() -> None:
    clean, won = torch.tensor([[0.8, 0.2], [0.9, 0.1]]), torch.tensor([[0.1, 0.9], [0.95, 0.05]])
    y = model(clean).argmax(dim=1)
    found = back(model, won, clean, y)
    assert still_adversarial(model, found, y).tolist() == [True, False]
    assert 0.0 < float(found[0, 1] - found[0, 0]) < 0.03
    assert torch.allclose(found[1], won[1])
