"""Each row goes to one part, groups stay whole, and too small a holdout is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.training.splits import MIN_CHECK, MIN_RANK, MIN_TRAIN, TooFewHoldout, halve, rows_for, split


@given(st.integers(150, 3000), st.integers(0, 1000), st.integers(0, 5), st.booleans())
def test_every_row_goes_to_exactly_one_part(n: int, calibrate: int, seed: int, train: bool) -> None:
    if n < rows_for(calibrate):
        with pytest.raises(TooFewHoldout) as refused:
            split(n, calibrate, seed, train=train)
        assert refused.value.needed == rows_for(calibrate)
        return
    parts = split(n, calibrate, seed, train=train)
    together = np.concatenate([parts.rank, parts.calibrate, parts.check, parts.train])
    assert sorted(together) == list(range(n))
    assert len(parts.calibrate) >= calibrate
    assert len(parts.rank) >= MIN_RANK
    assert len(parts.check) >= MIN_CHECK
    least = MIN_TRAIN if train and n >= rows_for(calibrate) + MIN_TRAIN else 0
    assert len(parts.train) >= least
    assert len(parts.train) == 0 or least


def test_train_rows_are_taken_from_rank_and_check() -> None:
    plain, trained = split(10000, 199, 0), split(10000, 199, 0, train=True)
    assert [len(part) for part in (plain.rank, plain.calibrate, plain.check)] == [3500, 4500, 2000]
    parts = (trained.train, trained.rank, trained.calibrate, trained.check)
    assert [len(part) for part in parts] == [2000, 2000, 4500, 1500]


def test_the_seed_decides() -> None:
    one, same, other = split(1000, 100, 1), split(1000, 100, 1), split(1000, 100, 2)
    assert (one.calibrate == same.calibrate).all()
    assert not np.array_equal(one.calibrate, other.calibrate)


def test_a_group_is_never_split() -> None:
    group = np.random.default_rng(0).integers(0, 80, 2000)
    parts = split(2000, 99, 0, group)
    owners = [np.unique(group[rows]) for rows in (parts.rank, parts.calibrate, parts.check)]
    assert sorted(np.concatenate(owners)) == sorted(np.unique(group))
    assert len(parts.rank) + len(parts.calibrate) + len(parts.check) == 2000
    assert len(parts.calibrate) == pytest.approx(900, abs=60)


def test_groups_of_text_and_groups_too_coarse() -> None:
    assert len(split(300, 99, 0, np.array([f"user-{i // 3}" for i in range(300)])).calibrate) >= 99
    with pytest.raises(TooFewHoldout):
        split(300, 140, 0, np.arange(300) // 100)


def test_one_file_is_halved_in_favor_of_the_budget() -> None:
    reference, holdout = halve(1000, 249, 0)
    assert (len(reference), len(holdout)) == (500, 500)
    reference, holdout = halve(1000, 748, 0)
    assert (len(reference), len(holdout)) == (252, 748)
    assert not set(reference) & set(holdout)
