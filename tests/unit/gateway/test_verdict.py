"""Verdicts as columns: a part of a batch says of its rows what the whole says of them."""

from __future__ import annotations

import numpy as np

from gateway.verdict import StageRun, Verdicts

N = 7


def whole(shadow: bool = False) -> Verdicts:
    wanted = np.arange(N, dtype=np.uint8) % 3
    runs = tuple(StageRun(f"s{i}", np.arange(N) + 10.0 * i, np.arange(N) / 100, 5, 9) for i in range(2))
    actions = np.zeros_like(wanted) if shadow else wanted
    return Verdicts(actions, wanted, np.arange(N) / 10, np.arange(N) / 20, np.arange(N) % 3 - 1, runs)


def test_a_part_holds_the_same_verdicts() -> None:
    for shadow in (False, True):
        seen = whole(shadow)
        assert list(seen.take(slice(2, 5))) == list(seen)[2:5]


def test_a_part_of_a_part() -> None:
    seen = whole()
    assert list(seen.take(slice(1, 6)).take(slice(2, 4))) == list(seen)[3:5]


def test_what_was_wanted_and_done_stay_one_array() -> None:
    part = whole().take(slice(0, 3))
    assert part.shadowed is part.actions
    assert whole(shadow=True).take(slice(0, 3)).shadowed.tolist() == [0, 1, 2]
