"""An observation, made into a record: off the hot path, and only for requests that are kept."""

from __future__ import annotations

import hashlib
import re

import msgspec
import numpy as np

from gateway.state.record import (
    NO_PAYLOAD,
    Answer,
    Entry,
    Number,
    PayloadState,
    Record,
    RowEvidence,
    StageEvidence,
    Word,
)
from gateway.telemetry.observation import ChainInfo, Explain, Observation, StageInfo
from gateway.verdict import Action, Judged, StageRun, Verdicts
from models.backend import Outputs
from models.batch import Array

EVIDENCE_ROWS = 64  # of one request, the most suspicious first; payloads are of these rows only
_VALUES = 16  # of a row's first output, where the model has no classes
_EXPLAINED = 8  # rows a request that are put in words
_TEXT = 256  # characters kept of what a caller wrote
ALLOW, FLAG, REJECT = map(int, Action)  # numpy compares with an enum ten times slower than with an int
_WORDS: tuple[Word, ...] = ("allow", "flag", "reject")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def describe(observation: Observation, captured: PayloadState = "kept") -> Entry:
    """What is kept of a request. `captured` says whether its rows may be: `kept`, or why not (`off`, `quota`)."""
    judged = observation.judged
    if judged is None:
        return Entry(_failed(observation))
    wanted = judged.verdicts.shadowed
    rows = _pick(judged.verdicts)
    suspicious = rows[wanted[rows] > ALLOW]
    stripped = len(judged.batch) != len(wanted)
    if not len(suspicious):
        captured = "none"
    elif stripped:
        captured = "quota"
    keep = captured == "kept"
    record = _record(observation, judged, rows, suspicious if keep else rows[:0])
    return Entry(record, captured, _payload(judged, suspicious) if keep else NO_PAYLOAD)


def caller_trace(traceparent: str | None) -> tuple[str, str] | tuple[None, None]:
    """Trace and span id of a W3C `traceparent` header; its sampling flag is not looked at."""
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if match is None or not int(match[1], 16) or not int(match[2], 16):
        return None, None
    return match[1], match[2]


def text(value: str | None) -> str | None:
    """What a caller wrote, cut short and storable: lone surrogates replaced."""
    return None if value is None else value[:_TEXT].encode("utf-8", "replace").decode()


def _failed(seen: Observation) -> Record:
    error = seen.error or "no verdict"
    stage = next((s.name for s in seen.chain.stages if error.startswith(f"stage {s.name!r} ")), None)
    return _record_base(seen, verdict="error", enforced=True, rows=0, stage=stage, error=error)


def _record(seen: Observation, judged: Judged, rows: Array, captured: Array) -> Record:
    verdicts = judged.verdicts
    wanted = verdicts.shadowed
    worst = int(wanted.max()) if len(wanted) else 0
    facts = {stage.name: stage for stage in seen.chain.stages}
    evidence = _explained(_row_evidence(judged, rows), judged.batch.x, seen.chain)
    return _record_base(
        seen,
        verdict=_WORDS[worst],
        enforced=verdicts.actions is wanted or bool(np.array_equal(verdicts.actions, wanted)),
        rows=len(wanted),
        flagged=int(np.count_nonzero(wanted == FLAG)),
        rejected=int(np.count_nonzero(wanted == REJECT)),
        stage=_deciding(evidence),
        stages=tuple(_stage_evidence(run, facts.get(run.name), rows) for run in verdicts.stages),
        row_evidence=evidence,
        captured=tuple(captured.tolist()),
        digest=_digest(judged.batch.x) if len(judged.batch) == len(wanted) else None,
        rows_run=judged.rows_run,
    )


def _record_base(seen: Observation, **evidence: object) -> Record:
    """The part every record has."""
    trace_id, span_id = caller_trace(seen.traceparent)
    facts: dict[str, object] = {"error": text(seen.error), **evidence}
    return Record(
        id=seen.id,
        started_ns=seen.started_ns,
        ended_ns=seen.ended_ns,
        endpoint=seen.chain.endpoint,
        version=seen.chain.version,
        mode=seen.chain.mode,
        principal=text(seen.principal) or "",
        route=text(seen.route) or "",
        status=seen.status,
        flag_cut=_number(seen.chain.flag_cut),
        reject_cut=_number(seen.chain.reject_cut),
        request_id=text(seen.request_id),
        caller_trace_id=trace_id,
        caller_span_id=span_id,
        user_agent=text(seen.user_agent),
        body_bytes=seen.body_bytes,
        **facts,  # type: ignore[arg-type]
    )


def _pick(verdicts: Verdicts) -> Array:
    """Rows whose evidence is kept: all, or of a large request the most suspicious, in their order."""
    n = len(verdicts)
    if n <= EVIDENCE_ROWS:
        return np.arange(n)
    by_suspicion = np.lexsort((verdicts.statistic, -verdicts.shadowed.astype(np.int16)))
    return np.sort(by_suspicion[:EVIDENCE_ROWS])


def _row_evidence(judged: Judged, rows: Array) -> tuple[RowEvidence, ...]:
    verdicts = judged.verdicts
    before = _answers(judged.before or judged.outputs, rows)
    unseen = (verdicts.statistic == 0.0) & (verdicts.actions == REJECT)  # stopped before the model
    before = tuple(None if hidden else answer for hidden, answer in zip(unseen[rows].tolist(), before, strict=True))
    purified = np.zeros(len(verdicts), dtype=bool) if judged.purified_rows is None else judged.purified_rows
    after = _answers(judged.outputs, rows) if purified.any() else before
    names = (*(stage.name for stage in verdicts.stages), None)  # -1, no stage spoke, is the last one
    columns = (verdicts.shadowed, verdicts.actions, verdicts.statistic, verdicts.p_value, verdicts.decided, purified)
    picked = zip(rows.tolist(), *(column[rows].tolist() for column in columns), before, after, strict=True)
    return tuple(
        RowEvidence(
            row,
            _WORDS[wanted],
            _WORDS[action],
            _number(statistic),
            _number(p_value),
            names[decided],
            first,
            second if purely else None,
        )
        for row, wanted, action, statistic, p_value, decided, purely, first, second in picked
    )


def _explained(evidence: tuple[RowEvidence, ...], x: Array, chain: ChainInfo) -> tuple[RowEvidence, ...]:
    """The evidence with the deciding stages' own words on the first suspicious rows."""
    if not chain.explain or not len(x):
        return evidence
    able = [row for row in evidence if row.verdict != "allow" and row.stage in chain.explain][:_EXPLAINED]
    words = {row.row: _words(chain.explain[row.stage or ""], x[row.row]) for row in able}
    return tuple(msgspec.structs.replace(row, explanation=words.get(row.row)) for row in evidence)


def _words(explain: Explain, row: Array) -> str | None:
    try:
        return text(explain(row)) or None
    except Exception:  # words are a courtesy: without them the record is still whole
        return None


def _deciding(evidence: tuple[RowEvidence, ...]) -> str | None:
    """The stage that decided the most suspicious row."""
    if not evidence:
        return None
    worst = min(evidence, key=lambda row: (-_WORDS.index(row.verdict), row.statistic or 0.0))
    return None if worst.verdict == "allow" else worst.stage


def _stage_evidence(run: StageRun, facts: StageInfo | None, rows: Array) -> StageEvidence:
    return StageEvidence(
        run.name,
        tuple(_number(score) for score in run.scores[rows].tolist()),
        tuple(_number(p) for p in run.p_values[rows].tolist()),
        run.started_ns,
        run.ended_ns,
        _number(facts.flag_score) if facts else None,
        _number(facts.reject_score) if facts else None,
        run.shadow,
        facts.conditional if facts else False,
        text(run.error),
    )


def _answers(outputs: Outputs | None, rows: Array) -> tuple[Answer | None, ...]:
    if outputs is None:
        return (None,) * len(rows)
    if outputs.logits is not None:
        logits = outputs.logits[rows].astype(np.float64)
        top = logits.max(axis=1, keepdims=True)
        probability = 1.0 / np.exp(logits - top).sum(axis=1)
        labels = logits.argmax(axis=1)
        return tuple(Answer(label, _number(p)) for label, p in zip(labels.tolist(), probability.tolist(), strict=True))
    first = next((array for array in outputs.tensors.values() if array.dtype.kind in "fiu"), None)
    if first is None:
        return (None,) * len(rows)
    flat = first[rows].reshape(len(rows), -1)[:, :_VALUES].astype(np.float64)
    return tuple(Answer(values=tuple(_number(value) for value in row)) for row in flat.tolist())


def _payload(judged: Judged, rows: Array) -> dict[str, Array]:
    """The suspicious rows' input, purified input, and numeric inputs beside the guarded one. Copies."""
    arrays = {"input": judged.batch.x[rows]}
    if judged.purified is not None and judged.purified_rows is not None and judged.purified_rows[rows].any():
        arrays["purified"] = judged.purified[rows]
    for name, array in judged.batch.extras.items():
        if array.dtype != object:
            arrays[f"extra:{name}"] = array[rows]
    return arrays


def _digest(x: Array) -> str:
    return hashlib.sha256(x.tobytes() if not x.flags.c_contiguous or not x.size else x.data).hexdigest()


def _number(value: float) -> Number:
    """The value as JSON can hold it."""
    return value if value - value == 0.0 else None  # false for NaN and both infinities


def facts_of(chain: ChainInfo) -> dict[str, object]:
    """What a store keeps of a chain."""
    spec = chain.input
    stages = [
        {
            "name": stage.name,
            "flag_score": _number(stage.flag_score),
            "reject_score": _number(stage.reject_score),
            "shadow": stage.shadow,
            "conditional": stage.conditional,
        }
        for stage in chain.stages
    ]
    shape = (
        None
        if spec is None
        else {
            "kind": spec.kind,
            "dtype": spec.dtype.str,
            "shape": list(spec.shape),
            "bounds": None if spec.bounds is None else list(spec.bounds),
            "layout": spec.layout,
            "columns": list(spec.columns),
        }
    )
    cuts = {"flag_cut": _number(chain.flag_cut), "reject_cut": _number(chain.reject_cut)}
    return {"mode": chain.mode, "backend": chain.backend_kind, **cuts, "stages": stages, "input": shape}
