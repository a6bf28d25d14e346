"""The tables of `shared.db`."""

from __future__ import annotations

from gateway.state.sqlitefile import SqliteFile

TABLES = (
    """CREATE TABLE IF NOT EXISTS clock (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        clock REAL NOT NULL,
        now REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS sums (
        key TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        late INTEGER NOT NULL,
        sums BLOB NOT NULL,
        at REAL NOT NULL,
        UNIQUE (key, late, bucket)
    )""",
    """CREATE TABLE IF NOT EXISTS keys (
        key TEXT PRIMARY KEY,
        sealed INTEGER NOT NULL,
        forgotten INTEGER NOT NULL,
        late_rows INTEGER NOT NULL,
        length INTEGER NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS replicas (
        replica TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS kept (
        name TEXT PRIMARY KEY,
        token INTEGER NOT NULL,
        value BLOB NOT NULL,
        at REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS once (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL,
        until REAL NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS once_by_time ON once (until)",
    """CREATE TABLE IF NOT EXISTS leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        until REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS log (
        key TEXT NOT NULL,
        id TEXT NOT NULL,
        number INTEGER NOT NULL,
        value BLOB NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (key, id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS log_by_number ON log (key, number)",
    "CREATE INDEX IF NOT EXISTS log_by_time ON log (until)",
)
SHARED = SqliteFile("shared.db", "what workers share", 0x57475348, 1, TABLES)  # "WGSH"
