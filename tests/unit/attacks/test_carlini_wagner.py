from __future__ import annotations

import torch
from torch import Tensor

from attacks.carlini_wagner import carlini_wagner
from attacks.losses import margin
from attacks.pgd import pgd
from models.batch import Bounds

UNIT = Bounds(0.0, 1.0)


def size(found: Tensor, x: Tensor) -> Tensor:
    return (found - x).square().sum(dim=1).sqrt()


def test_wins_every_row_with_a_smaller_change_than_pgd(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    found = carlini_wagner(net, x, y, bounds=UNIT)
    by_pgd = pgd(net, x, y, epsilon=0.5, steps=40, bounds=UNIT, seed=0)
    both = (margin(net(found), y) > 0) & (margin(net(by_pgd), y) > 0)
    assert float((margin(net(found), y) > 0).float().mean()) >= 0.9
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert float(size(found, x)[both].mean()) < 0.6 * float(size(by_pgd, x)[both].mean())


def test_confidence_is_reached_and_costs_size(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    plain = carlini_wagner(net, x, y, bounds=UNIT)
    sure = carlini_wagner(net, x, y, bounds=UNIT, confidence=0.2)
    won = (sure != x).any(dim=1)
    assert float(won.float().mean()) > 0.5
    assert float(margin(net(sure), y)[won].min()) >= 0.2
    assert float(size(sure, x)[won].mean()) > float(size(plain, x)[won].mean())


def test_a_row_that_cannot_be_won_comes_back_as_it_was(x: Tensor, y: Tensor) -> None:
    def stubborn(rows: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(y, 3) + 0.0 * rows[:, :3]

    assert torch.equal(carlini_wagner(stubborn, x, y, bounds=UNIT, steps=3), x)


def test_a_row_is_attacked_the_same_alone(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    together = carlini_wagner(net, x, y, bounds=UNIT, steps=20)
    alone = carlini_wagner(net, x[3:4], y[3:4], bounds=UNIT, steps=20)
    torch.testing.assert_close(together[3:4], alone, atol=1e-4, rtol=0.0)


def test_a_tangent_wins_inside_the_bounds_and_leaves_what_is_at_a_bound(
    net: torch.nn.Module, x: Tensor, y: Tensor
) -> None:
    rows = x.clone()
    rows[:, 4:] = 0.0
    labels = net(rows).argmax(dim=1)
    found = carlini_wagner(net, rows, labels, bounds=UNIT, tangent=True)
    clipped = carlini_wagner(net, rows, labels, bounds=UNIT)
    won = margin(net(found), labels) > 0
    assert float(won.float().mean()) > 0.3
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert float(found[:, 4:].max()) < 0.05  # most of the way is flat
    assert float(clipped[:, 4:].max()) > 0.2
    assert torch.equal(found[~won], rows[~won])


def test_a_tangent_reaches_the_confidence(net: torch.nn.Module, x: Tensor, y: Tensor) -> None:
    sure = carlini_wagner(net, x, y, bounds=UNIT, confidence=0.2, tangent=True)
    won = (sure != x).any(dim=1)
    assert float(won.float().mean()) > 0.3
    assert float(margin(net(sure), y)[won].min()) >= 0.2
