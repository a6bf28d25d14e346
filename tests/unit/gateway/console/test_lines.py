from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from gateway.console.lines import _MOST, Lines
from gateway.state.record import Trace
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild

TRACE = Trace(describe(observe(wild(1))).record, "kept")


class Fetched:
    """Knows every id but those that begin with `gone`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, ids: Sequence[str]) -> dict[str, Trace]:
        self.asked.append(list(ids))
        return {name: TRACE for name in ids if not name.startswith("gone")}


def test_a_line_is_drawn_once_and_again_with_another_mark() -> None:
    lines, fetched = Lines(lambda trace, mark: Markup(mark or "none")), Fetched()
    assert lines.of(["a", "b"], {}, fetched) == ["none", "none"]
    assert lines.of(["c", "a", "b"], {"a": "attack"}, fetched) == ["none", "attack", "none"]
    assert lines.of(["a"], {}, fetched) == ["none"]
    assert fetched.asked == [["a", "b"], ["c", "a"]]


def test_what_was_evicted_has_no_line() -> None:
    assert len(Lines(lambda trace, mark: Markup("x")).of(["a", "gone", "b"], {}, Fetched())) == 2


def test_only_so_many_are_remembered() -> None:
    lines, fetched = Lines(lambda trace, mark: Markup("x")), Fetched()
    for start in range(0, 2 * _MOST, 500):
        assert len(lines.of([str(i) for i in range(start, start + 500)], {}, fetched)) == 500
    lines.of(["0", str(2 * _MOST - 1)], {}, fetched)
    assert fetched.asked[-1] == ["0"]
