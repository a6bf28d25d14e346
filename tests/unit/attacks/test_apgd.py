from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from attacks.apgd import apgd
from attacks.losses import cross_entropy, dlr, margin
from attacks.pgd import pgd
from models.batch import Bounds

UNIT = Bounds(0.0, 1.0)


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
def test_stays_in_its_ball_and_in_the_bounds_whatever_the_row(
    net: torch.nn.Module, x: Tensor, y: Tensor, loss: Literal["cross_entropy", "dlr"]
) -> None:
    epsilon = torch.linspace(0.01, 0.3, len(x))[:, None]
    found = apgd(net, x, y, epsilon=epsilon, bounds=UNIT, seed=0, steps=15, loss=loss)
    assert bool(((found - x).abs() <= epsilon + 1e-6).all())
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0


def test_fools_at_least_as_many_as_pgd_and_repeats_itself(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    by_pgd = pgd(net, x, y, epsilon=0.2, steps=30, bounds=UNIT, seed=0)
    found = apgd(net, x, y, epsilon=0.2, bounds=UNIT, seed=0, steps=30)
    assert float(margin(net(found), y).mean()) >= float(margin(net(by_pgd), y).mean()) - 1e-4
    assert torch.equal(found, apgd(net, x, y, epsilon=0.2, bounds=UNIT, seed=0, steps=30))


def test_a_row_is_attacked_the_same_alone(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    def centered(rows: Tensor, labels: Tensor) -> Tensor:
        return apgd(net, rows, labels, epsilon=torch.tensor(0.0), bounds=UNIT, seed=0, steps=3)

    torch.testing.assert_close(centered(x, y)[:1], centered(x[:1], y[:1]))


def test_losses_agree_on_what_is_misclassified() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]])
    y = torch.tensor([0, 0])
    assert margin(logits, y).tolist() == [-2.0, 2.0]
    torch.testing.assert_close(dlr(logits, y), torch.tensor([-2.0 / 3.0, 1.0]))
    torch.testing.assert_close(dlr(10.0 * logits, y), dlr(logits, y))
    assert dlr(logits[:, :2], y).tolist() == [-2.0, 2.0]
    torch.testing.assert_close(cross_entropy(logits, y), -logits.log_softmax(1)[:, 0])
