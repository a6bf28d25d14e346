"""The tables of `traces.db`, and which versions of them this release reads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.errors import OperatorError
from gateway.state.migration import migrate, statements

VERSION = 2
_APPLICATION = 0x57474154  # marks the file as ours ("WGAT")

# Lanes: verdicts are never displaced by sampled clean requests.
VERDICTS, CLEAN = 0, 1

# `usage` and `totals` follow `requests` by triggers, so that eviction never counts rows.
# The wide columns come last: a scan over the narrow ones does not read them.
_TABLES = """
CREATE TABLE requests (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    lane INTEGER NOT NULL,
    started_ns INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    version TEXT NOT NULL,
    principal TEXT NOT NULL,
    status INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT,
    label INTEGER,
    digest TEXT,
    caller_trace_id TEXT,
    payload TEXT NOT NULL,
    record_bytes INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX requests_by_time ON requests (started_ns);
CREATE INDEX requests_by_principal ON requests (lane, principal, seq);
CREATE INDEX requests_with_payload ON requests (lane, principal, seq) WHERE payload = 'kept';

-- All that a list is filtered by, newest last: a page of a rare kind is found without reading a single wide row.
CREATE INDEX requests_facts ON requests (seq, verdict, endpoint, stage, principal, label, started_ns);
CREATE INDEX requests_by_digest ON requests (digest) WHERE digest IS NOT NULL;
CREATE INDEX requests_by_caller_trace ON requests (caller_trace_id) WHERE caller_trace_id IS NOT NULL;

-- What an operator says of a request. It outlives the request, so the facts that statistics need are copied.
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

-- An endpoint's counters now and then, for curves over time. The console writes them, never the gateway.
CREATE TABLE history (
    endpoint TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    totals TEXT NOT NULL,
    PRIMARY KEY (endpoint, at_s)
) WITHOUT ROWID;

CREATE TABLE payloads (digest TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE captures (
    request INTEGER NOT NULL REFERENCES requests (seq),
    role TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES payloads (digest),
    PRIMARY KEY (request, role)
) WITHOUT ROWID;
CREATE INDEX captures_by_digest ON captures (digest);

CREATE TABLE chains (
    endpoint TEXT NOT NULL,
    version TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (endpoint, version)
) WITHOUT ROWID;

CREATE TABLE usage (
    lane INTEGER NOT NULL,
    principal TEXT NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (lane, principal)
) WITHOUT ROWID;
CREATE INDEX usage_by_records ON usage (lane, records);
CREATE INDEX usage_by_bytes ON usage (lane, bytes);
CREATE TABLE totals (lane INTEGER PRIMARY KEY, records INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0), (1, 0, 0);

CREATE TRIGGER request_added AFTER INSERT ON requests BEGIN
    INSERT INTO usage VALUES (new.lane, new.principal, 1, new.record_bytes + new.payload_bytes)
        ON CONFLICT DO UPDATE SET records = records + 1, bytes = bytes + excluded.bytes;
    UPDATE totals SET records = records + 1, bytes = bytes + new.record_bytes + new.payload_bytes
        WHERE lane = new.lane;
END;
CREATE TRIGGER request_removed AFTER DELETE ON requests BEGIN
    UPDATE usage SET records = records - 1, bytes = bytes - old.record_bytes - old.payload_bytes
        WHERE lane = old.lane AND principal = old.principal;
    DELETE FROM usage WHERE lane = old.lane AND principal = old.principal AND records = 0;
    UPDATE totals SET records = records - 1, bytes = bytes - old.record_bytes - old.payload_bytes
        WHERE lane = old.lane;
END;
CREATE TRIGGER payload_dropped AFTER UPDATE OF payload_bytes ON requests BEGIN
    UPDATE usage SET bytes = bytes + new.payload_bytes - old.payload_bytes
        WHERE lane = new.lane AND principal = new.principal;
    UPDATE totals SET bytes = bytes + new.payload_bytes - old.payload_bytes WHERE lane = new.lane;
END;
"""


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Makes the tables in a new file; brings an older release's to this one's; checks them else.

    Raises:
        OperatorError: the file is something else, or a later release wrote it.
    """
    application, version, tables = check(db, path)
    if (application, version) == (_APPLICATION, VERSION):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        _, version, tables = check(db, path)  # another worker may have been first
        if version == 0 and tables == 0:
            for statement in statements(_TABLES):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif version < VERSION:
            migrate(db, version)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def check(db: sqlite3.Connection, path: Path) -> tuple[int, int, int]:
    """Application mark, schema version and number of tables.

    Raises:
        OperatorError: the file is something else, or a later release wrote it.
    """
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != _APPLICATION and (tables or application or version):
        raise OperatorError(f"{path}: expected a watchgate trace store, found another SQLite database")
    if version > VERSION:
        raise OperatorError(
            f"{path}: expected trace store version {VERSION} or older, found {version}: "
            "a later watchgate wrote it; upgrade this one or name another state path"
        )
    return application, version, tables
