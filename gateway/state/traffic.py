"""`traffic.db`: a bounded sample of the rows that came, uniform over time, shared by the workers of a host.

Every row draws a random number, and those with the smallest are kept (priority sampling: Duffield, Lund, Thorup 2007):
whatever order workers write in, it is one sample of all that came. Of no principal more than its share is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.state.sqlitefile import SqliteFile, writing
from gateway.state.store import StoreError

ALL = 2**53  # priorities lie below
_TABLES = (
    """CREATE TABLE IF NOT EXISTS rows (
        endpoint TEXT NOT NULL,
        priority INTEGER NOT NULL,
        principal TEXT NOT NULL,
        request TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        packed BLOB NOT NULL,
        PRIMARY KEY (endpoint, priority)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS rows_by_principal ON rows (endpoint, principal, priority)",
    "CREATE INDEX IF NOT EXISTS rows_by_time ON rows (endpoint, at_ns)",
    "CREATE TABLE IF NOT EXISTS limits (endpoint TEXT PRIMARY KEY, priority INTEGER NOT NULL) WITHOUT ROWID",
)
TRAFFIC = SqliteFile("traffic.db", "rows of production", 0x57475452, 1, _TABLES)  # "WGTR"


@dataclass(frozen=True, slots=True)
class Kept:
    """One row: whose, of which request, when (`time.time_ns()`), and its arrays, packed."""

    priority: int
    principal: str
    request: str
    at_ns: int
    packed: bytes


class TrafficFile:
    """An open `traffic.db`; belongs to the thread that opened it. Everything raises `StoreError`: try again later."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @staticmethod
    def open(folder: Path, *, make: bool = True) -> TrafficFile:
        """Opens the file, and makes it where it is missing.

        Raises:
            OperatorError: it is another database, or a later release's; or it is missing and not to be made.
            StoreError: it can't be read or written now.
        """
        return TrafficFile(TRAFFIC.open(folder, make=make))

    def limit(self, endpoint: str) -> int:
        """Rows with a priority below it are kept."""
        try:
            found = self._db.execute("SELECT priority FROM limits WHERE endpoint = ?", (endpoint,)).fetchone()
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc
        return ALL if found is None else int(found[0])

    def add(self, endpoint: str, rows: Sequence[Kept], most: int, share: float, oldest_ns: int) -> int:
        """Keeps rows, drops those older than `oldest_ns` and those that are too many; the new limit.

        At most `most` rows in all, and `share` of them of one principal.
        """
        try:
            with writing(self._db) as db:
                gone = db.execute("DELETE FROM rows WHERE endpoint = ? AND at_ns < ?", (endpoint, oldest_ns)).rowcount
                db.executemany(
                    "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)",
                    [(endpoint, row.priority, row.principal, row.request, row.at_ns, row.packed) for row in rows],
                )
                for principal in {row.principal for row in rows}:
                    db.execute(
                        "DELETE FROM rows WHERE endpoint = ?1 AND priority IN (SELECT priority FROM rows WHERE"
                        " endpoint = ?1 AND principal = ?2 ORDER BY priority LIMIT -1 OFFSET ?3)",
                        (endpoint, principal, max(1, int(share * most))),
                    )
                return self._limited(db, endpoint, most, gone > 0)
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def _limited(self, db: sqlite3.Connection, endpoint: str, most: int, gone: bool) -> int:
        """Lower where there are too many; higher where age has taken half of them."""
        limit = self.limit(endpoint)
        count = int(db.execute("SELECT count(*) FROM rows WHERE endpoint = ?", (endpoint,)).fetchone()[0])
        if count > most:
            over = "SELECT priority FROM rows WHERE endpoint = ? ORDER BY priority LIMIT 1 OFFSET ?"
            limit = int(db.execute(over, (endpoint, most)).fetchone()[0])
            db.execute("DELETE FROM rows WHERE endpoint = ? AND priority >= ?", (endpoint, limit))
        elif gone and count < most // 2:
            limit = min(ALL, 2 * limit)
        db.execute("INSERT OR REPLACE INTO limits VALUES (?, ?)", (endpoint, limit))
        return limit

    def rows(self, endpoint: str) -> Iterator[Kept]:
        """All rows that are kept, in random order."""
        query = "SELECT priority, principal, request, at_ns, packed FROM rows WHERE endpoint = ? ORDER BY priority"
        try:
            for row in self._db.execute(query, (endpoint,)):
                yield Kept(*row)
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()
