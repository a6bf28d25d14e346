"""From an older release's tables to this one's, in the transaction that the caller holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gateway.state.record import Record

# Version 2: what the console filters and searches by, what operators say of requests, and counters over time.
_TO_2 = """
ALTER TABLE requests ADD COLUMN label INTEGER;
ALTER TABLE requests ADD COLUMN digest TEXT;
ALTER TABLE requests ADD COLUMN caller_trace_id TEXT;
UPDATE requests SET
    label = watchgate_label(record),
    digest = json_extract(record, '$.digest'),
    caller_trace_id = json_extract(record, '$.caller_trace_id');
CREATE INDEX requests_facts ON requests (seq, verdict, endpoint, stage, principal, label, started_ns);
CREATE INDEX requests_by_digest ON requests (digest) WHERE digest IS NOT NULL;
CREATE INDEX requests_by_caller_trace ON requests (caller_trace_id) WHERE caller_trace_id IS NOT NULL;
CREATE TABLE marks (
    request TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    version TEXT NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT,
    word TEXT NOT NULL,
    note TEXT NOT NULL,
    marked_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE history (
    endpoint TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    totals TEXT NOT NULL,
    PRIMARY KEY (endpoint, at_s)
) WITHOUT ROWID;
"""


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Brings tables of `version` up to date."""
    if version < 2:
        db.create_function("watchgate_label", 1, _label, deterministic=True)
        for statement in statements(_TO_2):
            db.execute(statement)


def statements(script: str) -> Iterator[str]:
    """The script cut into statements: `executescript` would commit the transaction it runs in."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _label(record: str) -> int | None:
    return Record.from_json(record).label
