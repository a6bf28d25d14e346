from __future__ import annotations

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    torch.manual_seed(0)
    made = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand(32, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def y(net: torch.nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        labels: Tensor = net(x).argmax(dim=1)
    return labels
