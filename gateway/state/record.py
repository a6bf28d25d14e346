"""What is kept of one judged request: plain data that a store, a span and a page can all be made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import msgspec

from models.batch import Array

Word = Literal["allow", "flag", "reject", "error"]
WORDS: tuple[Word, ...] = ("allow", "flag", "reject", "error")

_RANK = {"reject": 0, "flag": 1}  # most suspicious first

# What became of a request's rows: `none` nothing to keep, `off` capture is turned off, `quota` over its principal's
# share when it came, `evicted` made room for newer ones.
PayloadState = Literal["kept", "none", "off", "quota", "evicted"]

Number = float | None  # None: not run, not reachable, not a number (JSON has no NaN)


class Answer(msgspec.Struct, frozen=True):
    """What the model said of one row: its class and that class's probability; its values where it has no classes."""

    label: int | None = None
    probability: Number = None
    values: tuple[Number, ...] = ()


class RowEvidence(msgspec.Struct, frozen=True):
    """One row. `verdict` is what the chain wanted, `action` what was done (they differ in shadow mode).

    `stage` gave the strongest evidence; `explanation` are its own words, where it has any. `before` is the model's
    answer, None where it was not asked; `after` that to the purified row, None where it was not purified.
    """

    row: int
    verdict: Word
    action: Word
    statistic: Number
    p_value: Number
    stage: str | None = None
    before: Answer | None = None
    after: Answer | None = None
    explanation: str | None = None


class StageEvidence(msgspec.Struct, frozen=True):
    """One stage: `scores` and `p_values` in the order of the record's rows, and the thresholds of its own score."""

    name: str
    scores: tuple[Number, ...]
    p_values: tuple[Number, ...]
    started_ns: int
    ended_ns: int
    flag_score: Number = None
    reject_score: Number = None
    shadow: bool = False
    conditional: bool = False
    error: str | None = None

    @property
    def took_ms(self) -> float:
        """Milliseconds it took, for the whole micro-batch the request was part of."""
        return (self.ended_ns - self.started_ns) / 1e6


class Record(msgspec.Struct, frozen=True):
    """One request. Times are `time.time_ns()`.

    `row_evidence` holds every row of a small request, the most suspicious ones of a large one. `captured` are the
    rows whose input is kept as payload. `digest` is the sha256 of the guarded input's bytes (all rows, C order),
    None where the rows were dropped before it could be taken.
    """

    id: str
    started_ns: int
    ended_ns: int
    endpoint: str
    version: str
    mode: str
    principal: str
    route: str
    status: int
    verdict: Word
    enforced: bool
    rows: int
    flagged: int = 0
    rejected: int = 0
    stage: str | None = None
    flag_cut: Number = None
    reject_cut: Number = None
    stages: tuple[StageEvidence, ...] = ()
    row_evidence: tuple[RowEvidence, ...] = ()
    captured: tuple[int, ...] = ()
    digest: str | None = None
    error: str | None = None
    request_id: str | None = None
    caller_trace_id: str | None = None
    caller_span_id: str | None = None
    user_agent: str | None = None
    body_bytes: int = 0
    rows_run: int = 0

    @property
    def took_ms(self) -> float:
        """Milliseconds from the request's arrival to its answer."""
        return (self.ended_ns - self.started_ns) / 1e6

    @property
    def worst(self) -> RowEvidence | None:
        """The most suspicious row."""
        return min(self.row_evidence, key=lambda row: (_RANK.get(row.verdict, 2), row.statistic or 0.0), default=None)

    @property
    def label(self) -> int | None:
        """The class that the model saw in the most suspicious row as it came; None where it saw none."""
        row = self.worst
        return None if row is None or row.before is None else row.before.label

    def to_json(self) -> bytes:
        """As a JSON object."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(text: bytes | str) -> Record:
        """The record that `to_json` wrote; keys of a later release are passed over."""
        return msgspec.json.decode(text, type=Record)


NO_PAYLOAD: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and its payload on their way into a store: arrays by role (`input`, `purified`, `extra:<name>`)."""

    record: Record
    payload: PayloadState = "none"
    arrays: Mapping[str, Array] = field(default_factory=lambda: NO_PAYLOAD)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True, slots=True)
class Trace:
    """A record as the store holds it now, and what became of its payload."""

    record: Record
    payload: PayloadState
