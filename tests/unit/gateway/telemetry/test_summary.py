from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from detectors.calibration import CERTAIN
from gateway.state.record import Answer
from gateway.telemetry.describe import describe
from gateway.telemetry.summary import answer_text, score_text, summary, worst
from tests.traffic import failed, observe, odd, typical, wild


def test_a_rejected_row_is_put_in_words() -> None:
    words = summary(describe(observe(wild(1))).record)
    assert words.startswith("The row was rejected on the evidence of brightness. It scored 0.49; from 0.19")
    assert "(p = 0.0005)" in words
    assert "The model says class" in words


def test_of_many_rows_the_most_suspicious_is_told() -> None:
    record = describe(observe(np.concatenate([typical(2), odd(1), wild(1)]))).record
    row = worst(record)
    assert row is not None
    assert row.row == 3
    assert summary(record).startswith("4 rows, 1 rejected and 1 flagged. Row 3 was rejected")
    assert "Row 2 was flagged" in summary(record, record.row_evidence[2])
    assert "of the purified row, which was the answer" in summary(record, record.row_evidence[2])
    assert "Row 0 was allowed" in summary(record, record.row_evidence[0])


def test_a_watching_endpoint_says_would_have() -> None:
    assert "would have been rejected (the endpoint only watches)" in summary(
        describe(observe(wild(1), shadow=True)).record
    )


def test_a_failure_names_its_stage() -> None:
    assert summary(describe(failed()).record) == (
        "Refused without a verdict: stage 'broken' raised RuntimeError: no evidence today. The endpoint fails closed."
    )


def test_a_stages_own_words_come_first() -> None:
    seen = observe(wild(1))
    record = describe(replace(seen, chain=replace(seen.chain, explain={"brightness": lambda x: "too white."}))).record
    assert "It says: too white." in summary(record)


def test_a_certain_score_is_no_number() -> None:
    record = describe(observe(wild(1))).record
    stage = msgspec.structs.replace(record.stages[0], scores=(CERTAIN,))
    record = msgspec.structs.replace(record, stages=(stage, record.stages[1]))
    assert "breaks what every honest row keeps to" in summary(record)
    assert score_text(CERTAIN) == "certain"
    assert score_text(1.4e-45) == "above 0"
    assert score_text(0.0) == "0"


def test_answers_and_scores_are_short() -> None:
    assert answer_text(Answer(3, 0.98765)) == "class 3 (98.8%)"
    assert answer_text(Answer(values=(1.23456, None, 3.0, 4.0))) == "1.23, -, 3"
    assert answer_text(None) == score_text(None) == "-"
