from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.state.shared.clock import Tick

CLOCKS = st.floats(0, 4e9)


@given(st.lists(CLOCKS, min_size=1))
def test_it_never_goes_back_and_is_never_behind_the_clock(clocks: list[float]) -> None:
    tick = Tick(0.0, 0.0)
    for clock in clocks:
        after = tick.at(clock)
        assert after.now >= tick.now
        assert after.now >= clock
        tick = after


def test_a_clock_that_was_set_back_is_waited_for_at_half_the_rate() -> None:
    tick = Tick(1000.0, 1000.0).at(900.0)
    assert tick.now == 1000.0
    assert (tick := tick.at(910.0)).now == 1005.0
    assert tick.at(1090.0).now == 1095.0
    assert tick.at(1110.0).now == 1110.0


def test_a_clock_that_was_set_forward_is_followed() -> None:
    assert Tick(1000.0, 1000.0).at(5000.0) == Tick(5000.0, 5000.0)
