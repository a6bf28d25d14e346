from __future__ import annotations

import numpy as np
import pytest

from gateway.console.falsealarms import FEWEST, false_alarms
from gateway.console.totals import Totals
from gateway.state.marks import Mark, MarkWord
from gateway.state.record import Word


def marks(*counts: tuple[int, MarkWord, Word]) -> list[Mark]:
    return [Mark(f"{word}{i}", "e", "v", verdict, "s", word, "", 0) for n, word, verdict in counts for i in range(n)]


def test_the_estimate_finds_the_rate_that_made_the_traffic() -> None:
    """Simulated: 5,000 honest rows of which 4 % are flagged, 300 attacks of which 90 % are; 100 stopped are marked."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        honest, attack = rng.binomial(5000, 0.04), rng.binomial(300, 0.9)
        marked = rng.hypergeometric(honest, attack, 100)
        added = Totals(rows=5300, flagged=honest + attack)
        found = false_alarms(marks((marked, "honest", "flag"), (100 - marked, "attack", "flag")), added, "flag", 0.05)
        assert found.interval is not None
        inside += found.interval[0] <= honest / 5000 <= found.interval[1]
    assert inside >= 185  # of 200 intervals at 95 %


def test_a_contradicted_promise_suggests_a_smaller_budget() -> None:
    added = Totals(rows=10_000, flagged=2000)
    found = false_alarms(marks((40, "honest", "flag")), added, "flag", 0.05)
    assert found.rate == pytest.approx(0.2)
    assert found.suggested == pytest.approx(0.05 * 0.05 / 0.2, rel=0.05)
    assert found.says.startswith("More honest rows are stopped than promised")


def test_few_marks_suggest_nothing() -> None:
    found = false_alarms(marks((FEWEST - 1, "honest", "flag")), Totals(rows=10_000, flagged=4000), "flag", 0.05)
    assert found.suggested is None
    assert f"{FEWEST} marks are needed" in found.says


def test_attacks_and_broken_clients_are_right_alarms() -> None:
    added = Totals(rows=10_000, flagged=2000)
    found = false_alarms(marks((30, "attack", "flag"), (30, "broken", "reject")), added, "flag", 0.05)
    assert (found.rate, found.marked, found.suggested) == (0.0, 60, None)
    rejected = false_alarms(marks((30, "attack", "flag"), (30, "broken", "reject")), added, "reject", 0.01)
    assert rejected.marked == 30


def test_nothing_to_go_by() -> None:
    assert false_alarms([], Totals(rows=9), "flag", 0.05).says == "No stopped request has a mark yet."
    unseen = false_alarms(marks((1, "honest", "flag")), Totals(), "flag", 0.05)
    assert (unseen.rate, unseen.interval) == (None, None)
