from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from detectors.conformal import cut
from gateway.demo.client import Answer
from gateway.demo.outcome import UNLUCKY, Outcome, Promise, Tally, fate, most_expected, tally
from gateway.demo.traffic import Group

ROWS = np.zeros((5, 1, 8, 8), np.float32)
ANSWERS = [
    Answer(200, "allow", 3, "a"),
    Answer(200, "flag", 3, "b"),
    Answer(403, "reject", None, "c"),
    Answer(400, None, None, "d"),
    Answer(500, None, None, "e"),
]
HONEST = Tally("honest", 200, 188, 10, 2, 0, 0, 5)
ATTACK = Tally("attack", 50, 1, 9, 40, 0, 0, 1, flagged_id="f", rejected_id="r")
MALFORMED = Tally("malformed requests", 22, 0, 0, 0, 22, 0, None)
OUTCOME = Outcome((HONEST, ATTACK), MALFORMED, (), Promise(0.05, 0.01, flag=20, reject=8))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        *zip(ANSWERS, ("allowed", "flagged", "rejected", "refused", "failed"), strict=True),
        (Answer(200, "reject"), "rejected"),
        (Answer(404), "refused"),
        (Answer(503), "failed"),
    ],
)
def test_fates(answer: Answer, expected: str) -> None:
    assert fate(answer) == expected


def test_a_tally_counts_every_answer_once() -> None:
    found = tally(Group("some", ROWS, np.array([3, 4, 3, 3, 3])), ANSWERS)
    assert (found.allowed, found.flagged, found.rejected, found.refused, found.failed) == (1, 1, 1, 1, 1)
    assert found.sent == 5
    assert found.wrong == 1  # an answered row of class 4; rows that got no class are not wrong
    assert (found.flagged_id, found.rejected_id) == ("b", "c")
    assert tally(Group("some", ROWS), ANSWERS).wrong is None


@pytest.mark.parametrize(("k", "n", "rows"), [(3, 314, 200), (15, 314, 200), (1, 99, 50), (50, 99, 10)])
def test_the_most_that_is_expected_is_a_quantile_of_the_beta_binomial(k: int, n: int, rows: int) -> None:
    assert most_expected(k, n, rows) == stats.betabinom(rows, k, n + 1 - k).ppf(1.0 - UNLUCKY)


def test_the_promise_comes_from_the_cuts() -> None:
    statistic = np.linspace(0.001, 1.0, 314)
    flag, reject = cut(statistic, 0.05), cut(statistic, 0.01)
    promise = Promise.of(flag, reject, 200)
    assert (promise.flag_budget, promise.reject_budget) == (0.05, 0.01)
    assert 10 < promise.flag < 40
    assert 2 < promise.reject < promise.flag


def test_nothing_is_broken_when_all_is_as_promised() -> None:
    assert OUTCOME.broken == []
    assert replace(OUTCOME, tallies=(replace(HONEST, flagged=18), ATTACK)).broken == []


@pytest.mark.parametrize(
    ("outcome", "complaint"),
    [
        (replace(OUTCOME, tallies=(replace(HONEST, flagged=19), ATTACK)), "21 honest rows were flagged or rejected"),
        (replace(OUTCOME, tallies=(replace(HONEST, rejected=9), ATTACK)), "9 honest rows were rejected"),
        (replace(OUTCOME, tallies=(replace(HONEST, failed=1), ATTACK)), "1 honest rows got no verdict"),
        (replace(OUTCOME, tallies=(replace(HONEST, refused=1), ATTACK)), "1 honest rows got no verdict"),
        (
            replace(OUTCOME, malformed=replace(MALFORMED, refused=21, allowed=1), let_in=("NaN (200)",)),
            r"malformed and not refused: NaN \(200\)",
        ),
    ],
)
def test_what_was_not_as_promised_is_told(outcome: Outcome, complaint: str) -> None:
    (found,) = outcome.broken
    assert re.match(complaint, found)
    assert any("NOT AS PROMISED" in line for line in outcome.lines())
    assert outcome.to_json()["as_promised"] is False


def test_the_table_fits_a_terminal() -> None:
    text = io.StringIO()
    Console(file=text, width=80).print(OUTCOME.table())
    lines = text.getvalue().splitlines()
    assert len([line for line in lines if line.strip()]) == 5  # a heading, a rule, and a line a kind
    assert max(map(len, lines)) <= 80
    assert lines[-2].split() == ["malformed", "requests", "22", "0", "0", "0", "22", "-"]


def test_an_attacks_trace_is_shown_before_an_honest_rows() -> None:
    assert (OUTCOME.flagged_id, OUTCOME.rejected_id) == ("f", "r")
    only = replace(OUTCOME, tallies=(replace(HONEST, flagged_id="h"),))
    assert (only.flagged_id, only.rejected_id) == ("h", None)


def test_the_document_is_plain() -> None:
    found = tally(Group("some", ROWS, np.array([3, 4, 3, 3, 3])), ANSWERS)
    document = json.loads(json.dumps(replace(OUTCOME, tallies=(found,)).to_json()))
    assert document["requests"][0]["wrong"] == 1
    assert document["requests"][-1]["refused"] == 22
