from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.console.attention import Facts, attention
from gateway.console.standing import Standing
from gateway.console.totals import Totals
from gateway.tracking.drift.reading import Drift
from gateway.tracking.drift.report import DriftStatus, SeriesStatus

FINE = Totals(requests=1000, rows=1000, flagged=30, rejected=5)
FACTS = Facts("digits", FINE, 0.05, 0.01, False, 1, "v1", "v1", (("nearest", 30), ("energy", 5)), (("10.0.0.1", 28),))


def drifting(*names: str) -> Standing:
    """An endpoint of which these series drift, and one does not."""
    series = tuple(SeriesStatus(name, "shift", 9.0 - n, 4.0, 0.5, 200, True, 60.0) for n, name in enumerate(names))
    calm = SeriesStatus("calm", "shift", 1.0, 4.0, 0.0, 200, False, None)
    return Standing(True, Drift("digits", DriftStatus("digits", "v1", 90.0, 400, 0, True, 60.0, (*series, calm))))


def test_drift_names_the_farthest_series() -> None:
    found = attention(replace(FACTS, drift=drifting("joint", "a", "b", "c", "d")))
    assert found.level == "look"
    assert "differ from the held-out ones in a, b, c and 1 more. A broken client" in found.text
    assert "in how features go together" in attention(replace(FACTS, drift=drifting("joint"))).text
    over = attention(replace(FACTS, added=replace_totals(rejected=80), drift=drifting("a")))
    assert over.text.startswith("8.0% of rows were rejected")
    assert over.text.endswith("in a.")
    assert attention(replace(FACTS, drift=drifting())).level == "calm"


def test_drift_that_can_not_be_known_is_said() -> None:
    found = attention(replace(FACTS, drift=Standing(True, trouble="the server is gone")))
    assert (found.level, found.text) == ("look", "Whether it drifts is not known: the server is gone")


def test_within_the_budget_is_calm() -> None:
    assert attention(FACTS).level == "calm"
    assert attention(replace(FACTS, added=Totals())).text == "Nothing was asked of it in this time."
    assert "no stages" in attention(replace(FACTS, flag_budget=None, reject_budget=None)).text


def test_over_budget_names_stage_and_principal() -> None:
    found = attention(replace(FACTS, added=replace_totals(rejected=80)))
    assert found.level == "look"
    assert found.text.startswith("8.0% of rows were rejected; of honest ones 1.0% may be")
    assert "86% of them were decided by nearest, 80% came from 10.0.0.1" in found.text
    watched = attention(replace(FACTS, added=replace_totals(rejected=80), shadow=True))
    assert "would have been rejected" in watched.text


def test_a_few_more_than_the_budget_may_be_chance() -> None:
    assert attention(replace(FACTS, added=replace_totals(rejected=14))).level == "calm"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(FACTS, workers=0), "No worker serves it"),
        (replace(FACTS, added=Totals(rows=10, stage_errors=1)), "A stage failed 1 time:"),
        (replace(FACTS, added=Totals(rows=10, lost=2)), "2 verdicts did not reach the trace store"),
        (replace(FACTS, added=Totals(requests=100, rows=99, failed=3)), "3.0% of requests failed"),
    ],
)
def test_a_guard_that_does_not_work_comes_first(facts: Facts, said: str) -> None:
    found = attention(replace(facts, added=replace_all(facts.added, rejected=500)))
    assert found.level == "act"
    assert found.text.startswith(said)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(FACTS, calibrated="v2"), "It was calibrated again"),
        (replace(FACTS, added=Totals(requests=500, rows=500)), "Nothing was flagged in 500 rows, where about 25"),
        (replace(FACTS, added=Totals(requests=9, rows=9, export_lost=4)), "4 traces did not reach"),
        (replace(FACTS, added=Totals(requests=90, rows=50, refused=40)), "44% of requests were malformed"),
    ],
)
def test_oddities(facts: Facts, said: str) -> None:
    found = attention(facts)
    assert (found.level, found.text[: len(said)]) == ("look", said)


def replace_totals(rejected: float) -> Totals:
    return Totals(requests=1000, rows=1000, flagged=30, rejected=rejected)


def replace_all(totals: Totals, rejected: float) -> Totals:
    facts = {name: getattr(totals, name) for name in totals.__struct_fields__}
    return Totals(**{**facts, "rejected": rejected, "rows": max(totals.rows, 1000)})
