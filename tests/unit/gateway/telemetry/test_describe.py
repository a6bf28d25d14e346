from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from gateway.state.record import Record
from gateway.telemetry.describe import EVIDENCE_ROWS, caller_trace, describe, facts_of, text
from gateway.telemetry.recorder import bare
from models.backend import Outputs
from models.batch import Array, Batch
from tests.traffic import failed, info, observe, odd, typical, wild


def test_a_rejected_request() -> None:
    seen = observe(wild(1))
    entry = describe(seen)
    record = entry.record
    assert (record.id, record.verdict, record.stage, record.enforced) == (seen.id, "reject", "brightness", True)
    assert (record.rows, record.rejected, record.flagged, record.captured) == (1, 1, 0, (0,))
    assert record.digest == hashlib.sha256(wild(1).tobytes()).hexdigest()
    assert [stage.name for stage in record.stages] == ["brightness", "margin"]
    brightness = record.stages[0]
    assert brightness.reject_score is not None
    assert [score == np.float32(0.49) for score in brightness.scores] == [True]
    assert brightness.reject_score < 0.49
    (row,) = record.row_evidence
    assert (row.verdict, row.action, row.after) == ("reject", "reject", None)
    assert row.before is not None, "a stage asked the model, so the trace says what it answered"
    np.testing.assert_array_equal(entry.arrays["input"], wild(1))


def test_a_flagged_request_has_the_answers_before_and_after() -> None:
    seen = observe(odd(1))
    assert seen.judged is not None
    entry = describe(seen)
    (row,) = entry.record.row_evidence
    assert seen.judged.before is not None
    for outputs, answer in ((seen.judged.before, row.before), (seen.judged.outputs, row.after)):
        assert outputs is not None
        assert outputs.logits is not None
        assert answer is not None
        shares = np.exp(outputs.logits[0]) / np.exp(outputs.logits[0]).sum()
        assert answer.label == shares.argmax()
        assert answer.probability == pytest.approx(shares.max(), rel=1e-5)
    np.testing.assert_allclose(entry.arrays["purified"], odd(1) * 0.5 + 0.25)


def test_only_suspicious_rows_are_captured() -> None:
    record = (entry := describe(observe(np.concatenate([typical(2), wild(1), typical(1), odd(1)])))).record
    assert record.captured == (2, 4)
    assert [row.verdict for row in record.row_evidence] == ["allow", "allow", "reject", "allow", "flag"]
    assert entry.arrays["input"].shape == (2, 1, 4, 4)
    assert record.stages[1].scores[0] is None, "a stage that did not run has no score"


def test_a_large_request_keeps_its_most_suspicious_rows() -> None:
    x = typical(300)
    places = [7, 150, 299]
    x[places] = wild(1)
    x[40] = odd(1)
    entry = describe(observe(x))
    rows = [row.row for row in entry.record.row_evidence]
    assert len(rows) == EVIDENCE_ROWS
    assert set(rows) >= {*places, 40}
    assert rows == sorted(rows)
    assert entry.record.captured == (7, 40, 150, 299)
    assert (entry.record.rows, entry.record.rejected, entry.record.flagged) == (300, 3, 1)
    assert all(len(stage.scores) == EVIDENCE_ROWS for stage in entry.record.stages)
    many = describe(observe(wild(300)))
    assert len(many.arrays["input"]) == EVIDENCE_ROWS


def test_a_clean_request_keeps_no_rows() -> None:
    entry = describe(observe(typical(3)))
    assert (entry.record.verdict, entry.payload, dict(entry.arrays)) == ("allow", "none", {})


def test_capture_can_be_off() -> None:
    entry = describe(observe(wild(1)), "off")
    assert (entry.payload, dict(entry.arrays), entry.record.captured) == ("off", {}, ())
    assert entry.record.digest is not None


def test_without_its_rows_a_request_keeps_its_evidence() -> None:
    seen = observe(np.concatenate([typical(1), odd(1)]))
    whole, stripped = describe(seen), describe(bare(seen))
    assert (stripped.payload, dict(stripped.arrays)) == ("quota", {})
    assert stripped.record.digest is None
    assert stripped.record.row_evidence == whole.record.row_evidence
    assert stripped.record.stages == whole.record.stages


def test_shadow_mode_says_what_would_have_been() -> None:
    record = describe(observe(wild(1), shadow=True)).record
    assert (record.verdict, record.enforced, record.status) == ("reject", False, 200)
    assert (record.row_evidence[0].verdict, record.row_evidence[0].action) == ("reject", "allow")


def test_a_failed_stage_is_named() -> None:
    record = describe(failed()).record
    assert (record.verdict, record.stage, record.status) == ("error", "broken", 503)
    assert "no evidence today" in (record.error or "")


def test_the_deciding_stages_own_words_are_kept() -> None:
    def explain(row: Array) -> str:
        return f"mean {row.mean():.2f}"

    def fail(row: Array) -> str:
        raise RuntimeError

    seen = observe(np.concatenate([typical(1), wild(1)]))
    rows = describe(replace(seen, chain=replace(seen.chain, explain={"brightness": explain}))).record.row_evidence
    assert [row.explanation for row in rows] == [None, "mean 0.99"]
    rows = describe(replace(seen, chain=replace(seen.chain, explain={"brightness": fail}))).record.row_evidence
    assert [row.explanation for row in rows] == [None, None]


def test_a_model_without_classes_shows_its_values() -> None:
    seen = observe(odd(2))
    assert seen.judged is not None
    values = Outputs({"y": np.array([[1.5, np.nan], [2.5, 3.0]])})
    judged = replace(seen.judged, outputs=values, before=None, purified=None, purified_rows=None)
    rows = describe(replace(seen, judged=judged)).record.row_evidence
    assert [row.before.values for row in rows if row.before] == [(1.5, None), (2.5, 3.0)]


def test_inputs_beside_the_guarded_one_are_captured() -> None:
    seen = observe(np.concatenate([typical(1), wild(1)]))
    assert seen.judged is not None
    extras = {"mask": np.array([[0], [1]]), "words": np.array([["a"], ["b"]], dtype=object)}
    judged = replace(seen.judged, batch=Batch(seen.judged.batch.x, extras))
    arrays = describe(replace(seen, judged=judged)).arrays
    assert sorted(arrays) == ["extra:mask", "input"]
    np.testing.assert_array_equal(arrays["extra:mask"], [[1]])


def test_a_record_survives_json() -> None:
    for seen in (observe(odd(3)), observe(wild(1)), failed()):
        record = describe(seen).record
        assert Record.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        ("nonsense", False),
        ("", False),
        (None, False),
    ],
)
def test_the_callers_trace_is_read_whatever_its_flag(header: str | None, expected: bool) -> None:
    found = caller_trace(header)
    assert found == (("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7") if expected else (None, None))


def test_what_callers_write_is_cut_and_storable() -> None:
    written = text("a\ud800" * 500)
    assert written is not None
    assert written.encode() == (b"a?" * 500)[: len(written)]
    assert len(written) == 256
    assert text(None) is None


def test_facts_of_a_chain() -> None:
    facts = facts_of(info())
    assert facts["input"] == {
        "kind": "image",
        "dtype": "<f4",
        "shape": [1, 4, 4],
        "bounds": [0.0, 1.0],
        "layout": "NCHW",
        "columns": [],
    }
    assert facts_of(replace(info(), input=None))["input"] is None
