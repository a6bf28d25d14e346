"""A record in a few English sentences: what happened, on whose evidence, and what the model said."""

from __future__ import annotations

from detectors.calibration import CERTAIN
from gateway.state.record import Answer, Number, Record, RowEvidence, StageEvidence

_NOTHING = 1e-30  # a cut of a score that is 0 for every honest row lies barely above it
_DONE = {"allow": "allowed", "flag": "flagged", "reject": "rejected"}


def summary(record: Record, row: RowEvidence | None = None) -> str:
    """Why the request was stopped, told of `row`, or of its most suspicious row."""
    if record.verdict == "error":
        return f"Refused without a verdict: {record.error}. The endpoint fails closed."
    row = worst(record) if row is None else row
    if row is None:
        return "The request had no rows."
    return " ".join(
        part for part in (_counted(record), _judged(record, row), _evidence(record, row), _model(row)) if part
    )


def worst(record: Record) -> RowEvidence | None:
    """The most suspicious row."""
    return record.worst


def score_text(score: Number) -> str:
    """A score as people read it."""
    if score is None:
        return "-"
    if 0.0 < score < _NOTHING:
        return "above 0"
    return "certain" if score >= CERTAIN else f"{score:.4g}"


def answer_text(answer: Answer | None) -> str:
    """What the model said, in a few characters."""
    if answer is None:
        return "-"
    if answer.label is None:
        return ", ".join("-" if value is None else f"{value:.3g}" for value in answer.values[:3]) or "-"
    share = "" if answer.probability is None else f" ({answer.probability:.1%})"
    return f"class {answer.label}{share}"


def _counted(record: Record) -> str:
    if record.rows == 1:
        return ""
    parts = [f"{n} {word}" for n, word in ((record.rejected, "rejected"), (record.flagged, "flagged")) if n]
    return f"{record.rows} rows, {' and '.join(parts) or 'none of them stopped'}."


def _judged(record: Record, row: RowEvidence) -> str:
    done = _DONE[row.verdict]
    who = "The row" if record.rows == 1 else f"Row {row.row}"
    if row.verdict == "allow":
        return f"{who} was allowed."
    how = f"was {done}" if row.action == row.verdict else f"would have been {done} (the endpoint only watches)"
    return f"{who} {how} on the evidence of {row.stage}."


def _evidence(record: Record, row: RowEvidence) -> str:
    stage = next((stage for stage in record.stages if stage.name == row.stage), None)
    if stage is None or row.verdict == "allow":
        return ""
    score = stage.scores[record.row_evidence.index(row)]
    if row.explanation:
        said = f"It says: {row.explanation.rstrip('.')}."
    elif score is not None and score >= CERTAIN:
        said = "The row breaks what every honest row keeps to."
    else:
        said = f"It scored {score_text(score)}{_against(stage, row)}."
    rarity = (
        ""
        if row.p_value is None
        else f" Of honest rows, about {row.p_value:.2%} look this odd (p = {row.p_value:.3g})."
    )
    return said + rarity


def _against(stage: StageEvidence, row: RowEvidence) -> str:
    threshold = stage.reject_score if row.verdict == "reject" else stage.flag_score
    return "" if threshold is None else f"; from {score_text(threshold)} on it {row.verdict}s"


def _model(row: RowEvidence) -> str:
    if row.before is None:
        return "The model was not asked." if row.verdict == "reject" else ""
    said = f"The model says {answer_text(row.before)}"
    return (
        f"{said}."
        if row.after is None
        else f"{said}, and {answer_text(row.after)} of the purified row, which was the answer."
    )
