from __future__ import annotations

import numpy as np
import pytest
import torch

from gateway.demo import digits
from gateway.demo.digits import BOUNDS, STEP, Digits
from gateway.demo.network import Network, train
from gateway.demo.traffic import EPSILON, Group, groups
from models.batch import Array


@pytest.fixture(scope="module")
def data() -> Digits:
    return digits.load()


@pytest.fixture(scope="module")
def network(data: Digits) -> Network:
    return train(digits.Rows(data.train.x[:300], data.train.y[:300]))


@pytest.fixture(scope="module")
def sent(network: Network, data: Digits) -> dict[str, Group]:
    return {group.name: group for group in groups(network, data)}


def predicted(network: Network, x: Array) -> Array:
    return np.asarray(network(torch.from_numpy(x)).argmax(dim=1))


def test_no_row_is_in_two_parts(data: Digits) -> None:
    rows = np.concatenate([part.x.reshape(len(part), -1) for part in (data.train, data.holdout, data.honest)])
    assert len(rows) == 1797
    assert [len(data.train), len(data.holdout), len(data.honest)] == [900, 697, 200]
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_the_honest_rows_come_first_and_are_all_there(sent: dict[str, Group], data: Digits) -> None:
    first = next(iter(sent.values()))
    assert first.name.startswith("honest")
    assert np.array_equal(first.x, data.honest.x)


def test_adversarial_rows_fool_the_model_within_their_ball(
    sent: dict[str, Group], network: Network, data: Digits
) -> None:
    attacks = [group for group in sent.values() if group.name.startswith("PGD")]
    assert len(attacks) == 3
    for group in attacks:
        assert group.y is not None
        assert len(group.x) > 100
        assert (predicted(network, group.x) != group.y).all()
        near = np.abs(group.x[:, None] - data.honest.x[None]).max(axis=(2, 3, 4)).min(axis=1)
        assert near.max() <= EPSILON + STEP / 2 + 1e-6


def test_each_attack_keeps_to_what_its_name_says(sent: dict[str, Group], data: Digits) -> None:
    def on_levels(x: Array) -> bool:
        return bool(np.array_equal(x / STEP, np.round(x / STEP)))

    assert on_levels(sent["PGD on gray levels"].x)
    assert not on_levels(sent["PGD between levels"].x)
    within = sent["PGD within contract"].x
    assert on_levels(within)
    assert (within >= data.train.x.min(axis=0)).all()
    assert (within <= data.train.x.max(axis=0)).all()


def test_foreign_rows_break_no_bounds_and_no_levels(sent: dict[str, Group]) -> None:
    for name in ("uniform noise", "one gray level", "inverted digits"):
        x = sent[name].x
        assert sent[name].y is None
        assert x.dtype == np.float32
        assert x.min() >= BOUNDS.low
        assert x.max() <= BOUNDS.high
        assert np.array_equal(x / STEP, np.round(x / STEP))
