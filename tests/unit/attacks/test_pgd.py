from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attacks.fgsm import fgsm
from attacks.losses import gradient as loss_gradient
from attacks.pgd import pgd
from models.batch import Bounds

UNIT = Bounds(0.0, 1.0)


def loss(net: torch.nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(net(x), y, reduction="none")


@pytest.mark.parametrize("epsilon", [0.02, 0.3])
def test_every_attack_stays_in_its_ball_and_in_the_bounds(
    net: torch.nn.Module, x: Tensor, y: Tensor, epsilon: float
) -> None:
    for found in (
        fgsm(net, x, y, epsilon=epsilon, bounds=UNIT),
        pgd(net, x, y, epsilon=epsilon, steps=7, bounds=UNIT, seed=0),
    ):
        assert found.shape == x.shape
        assert found.dtype == x.dtype
        assert float((found - x).abs().max()) <= epsilon + 1e-6
        assert float(found.min()) >= 0.0
        assert float(found.max()) <= 1.0


def test_attacks_raise_the_loss_and_more_steps_raise_it_further(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    one = fgsm(net, x, y, epsilon=0.2, bounds=UNIT)
    many = pgd(net, x, y, epsilon=0.2, steps=20, bounds=UNIT, seed=0)
    assert bool((loss(net, one, y) > loss(net, x, y)).all())
    assert float(loss(net, many, y).mean()) > 1.05 * float(loss(net, x, y).mean())


def test_the_gradient_of_a_row_does_not_depend_on_its_neighbors(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    together = loss_gradient(net, x, y)
    alone = torch.cat([loss_gradient(net, x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(together, alone)


def test_the_gradient_agrees_with_finite_differences(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    wide = net.to(torch.float64)
    try:
        rows, step = x[:1].double(), 1e-6
        numeric = torch.stack(
            [
                (loss(wide, rows + step * unit, y[:1]) - loss(wide, rows - step * unit, y[:1]))[0] / (2 * step)
                for unit in torch.eye(6, dtype=torch.float64)
            ]
        )
        torch.testing.assert_close(loss_gradient(wide, rows, y[:1])[0], numeric, rtol=1e-5, atol=1e-8)
    finally:
        net.to(torch.float32)


def test_a_seed_makes_pgd_repeatable_and_another_moves_its_start(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    def start(seed: int) -> Tensor:
        return pgd(net, x, y, epsilon=0.1, steps=1, bounds=UNIT, seed=seed, step_size=0.0)

    assert torch.equal(start(3), start(3))
    assert not torch.equal(start(3), start(4))


def test_attacks_leave_the_rows_and_the_weights_alone(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    kept, weights = x.clone(), [p.detach().clone() for p in net.parameters()]
    pgd(net, x, y, epsilon=0.1, steps=3, bounds=UNIT, seed=0)
    assert torch.equal(x, kept)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), weights, strict=True))
    assert all(p.grad is None for p in net.parameters())
