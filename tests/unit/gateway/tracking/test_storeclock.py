"""The store's time between answers."""

from __future__ import annotations

import pytest

from gateway.state.store import StoreError
from gateway.tracking.storeclock import StoreClock


class Hand:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_before_the_first_answer_the_time_is_not_known() -> None:
    assert StoreClock().now() is None
    assert StoreClock().steady_s < 0


def test_it_goes_on_while_the_store_is_out_of_reach() -> None:
    hand = Hand()
    clock = StoreClock(hand)
    clock.sync(lambda: 1000.0)
    hand.now += 30.0
    clock.lost()
    assert clock.now() == 1030.0
    assert clock.steady_s < 0
    clock.sync(lambda: 1031.0)
    hand.now += 2.0
    assert (clock.now(), clock.steady_s) == (1033.0, 2.0)


def test_it_never_goes_back() -> None:
    hand = Hand()
    clock = StoreClock(hand)
    clock.sync(lambda: 1000.0)
    assert clock.now() == 1000.0
    clock.sync(lambda: 400.0)
    assert clock.now() == 1000.0
    hand.now += 700.0
    assert clock.now() == 1100.0


def test_half_of_the_way_there_and_back_counts() -> None:
    hand = Hand()
    clock = StoreClock(hand)

    def ask() -> float:
        hand.now += 0.5
        return 1000.0

    clock.sync(ask)
    assert clock.now() == 1000.25

    def slow() -> float:
        hand.now += 5.0
        return 9000.0

    clock.sync(slow)
    assert clock.now() == 1005.25  # an answer that took so long changes nothing


def test_a_failure_counts_as_out_of_reach() -> None:
    hand = Hand()
    clock = StoreClock(hand)
    clock.sync(lambda: 1000.0)

    def fails() -> float:
        raise StoreError("gone")

    with pytest.raises(StoreError):
        clock.sync(fails)
    assert clock.steady_s < 0
