"""`principals.db`: marks on principals and how much each asked, shared by all workers of a host.

A file of its own beside the traces: what decides on answers neither waits for their writer nor is evicted with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.state.principals.measures import Asking, Measure, faded, with_cells
from gateway.state.principals.store import Mark
from gateway.state.sqlitefile import SqliteFile, writing
from gateway.state.store import StoreError

_MOST = 10_000  # principals whose numbers, and marks, are kept
_SHARED_NS = 60 * 10**9  # how long rows that workers tell each other are kept
_TABLES = (
    """CREATE TABLE IF NOT EXISTS principal_marks (
        principal TEXT PRIMARY KEY,
        endpoint TEXT NOT NULL,
        reason TEXT NOT NULL,
        alike INTEGER NOT NULL,
        since_ns INTEGER NOT NULL,
        until_ns INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS principal_queries (
        principal TEXT PRIMARY KEY,
        queries INTEGER NOT NULL,
        last_ns INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS principal_queries_by_time ON principal_queries (last_ns)",
    "CREATE INDEX IF NOT EXISTS principal_marks_by_time ON principal_marks (until_ns)",
    """CREATE TABLE IF NOT EXISTS shared_queries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        worker TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        asked BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS principal_measures (
        endpoint TEXT NOT NULL,
        principal TEXT NOT NULL,
        bundle TEXT NOT NULL,
        rows INTEGER NOT NULL,
        looked INTEGER NOT NULL,
        near INTEGER NOT NULL,
        recent REAL NOT NULL,
        cells BLOB NOT NULL,
        last_ns INTEGER NOT NULL,
        PRIMARY KEY (endpoint, principal)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS principal_measures_by_time ON principal_measures (last_ns)",
)


PRINCIPALS = SqliteFile("principals.db", "the principals", 0x57475052, 3, _TABLES)  # "WGPR"


class PrincipalFile:
    """A `PrincipalStore` in an open `principals.db`; belongs to the thread that opened it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @staticmethod
    def open(folder: Path, *, make: bool = True) -> PrincipalFile:
        """Opens the file, and makes it where it is missing.

        Raises:
            OperatorError: it is another database, or a later release's; or it is missing and not to be made.
            StoreError: it can't be read or written now.
        """
        return PrincipalFile(PRINCIPALS.open(folder, make=make))

    def add(
        self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int, sent: tuple[str, int] | None = None
    ) -> None:
        """See `PrincipalStore`; what was not said to be added was not, so `sent` needs no looking at."""
        try:
            with writing(self._db):
                self._add(marks, queries, now_ns)
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def _add(self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int) -> None:
        self._db.execute("DELETE FROM principal_marks WHERE until_ns <= ?", (now_ns,))
        self._db.executemany(
            "INSERT INTO principal_marks VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " alike = alike + excluded.alike, until_ns = max(until_ns, excluded.until_ns)",
            [(m.principal, m.endpoint, m.reason, m.alike, m.since_ns, m.until_ns) for m in marks.values()],
        )
        self._db.executemany(
            "INSERT INTO principal_queries VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " queries = queries + excluded.queries, last_ns = excluded.last_ns",
            [(principal, count, now_ns) for principal, count in queries.items()],
        )
        for name, last in (("principal_queries", "last_ns"), ("principal_marks", "until_ns")):
            self._db.execute(
                f"DELETE FROM {name} WHERE principal IN"
                f" (SELECT principal FROM {name} ORDER BY {last} DESC LIMIT -1 OFFSET ?)",
                (_MOST,),
            )

    def marks(self, now_ns: int) -> dict[str, Mark]:
        """See `PrincipalStore`."""
        try:
            rows = self._db.execute("SELECT * FROM principal_marks WHERE until_ns > ?", (now_ns,)).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc
        return {row[0]: Mark(*row) for row in rows}

    def queries(self) -> dict[str, int]:
        """See `PrincipalStore`."""
        query = "SELECT principal, queries FROM principal_queries ORDER BY last_ns DESC, principal"
        try:
            return dict(self._db.execute(query).fetchall())
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def measure(self, endpoint: str, bundle: str, cells: int, asking: Mapping[str, Asking], now_ns: int) -> None:
        """See `PrincipalStore`."""
        query = (
            "SELECT rows, looked, near, recent, cells, last_ns FROM principal_measures"
            " WHERE endpoint = ? AND principal = ? AND bundle = ?"
        )
        try:
            with writing(self._db) as db:
                for name, asked in asking.items():
                    known = db.execute(query, (endpoint, name, bundle)).fetchone()
                    rows, looked, near, recent, bits, last_ns = known or (0, 0, 0, 0.0, b"", now_ns)
                    sums = (rows + asked.rows, looked + asked.looked, near + asked.near)
                    recent = recent * faded(now_ns - last_ns) + asked.rows
                    found = (endpoint, name, bundle, *sums, recent, with_cells(bits, asked.cells, cells), now_ns)
                    db.execute("INSERT OR REPLACE INTO principal_measures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", found)
                db.execute(
                    "DELETE FROM principal_measures WHERE (endpoint, principal) IN (SELECT endpoint, principal"
                    " FROM principal_measures ORDER BY last_ns DESC LIMIT -1 OFFSET ?)",
                    (_MOST,),
                )
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def measures(self) -> list[Measure]:
        """See `PrincipalStore`."""
        query = "SELECT * FROM principal_measures ORDER BY last_ns DESC, endpoint, principal"
        try:
            return [Measure(*row) for row in self._db.execute(query)]
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def share(self, worker: str, asked: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        """See `PrincipalStore`."""
        try:
            with writing(self._db) as db:
                db.execute("DELETE FROM shared_queries WHERE at_ns < ?", (now_ns - _SHARED_NS,))
                db.executemany(
                    "INSERT INTO shared_queries (worker, endpoint, at_ns, asked) VALUES (?, ?, ?, ?)",
                    [(worker, endpoint, now_ns, packed) for endpoint, packed in asked],
                )
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def shared(self, worker: str, after: int) -> list[tuple[int, str, bytes]]:
        """See `PrincipalStore`."""
        try:
            return self._db.execute(
                "SELECT seq, endpoint, asked FROM shared_queries WHERE seq > ? AND worker != ? ORDER BY seq",
                (after, worker),
            ).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def lift(self, principal: str) -> bool:
        """See `PrincipalStore`."""
        try:
            return self._db.execute("DELETE FROM principal_marks WHERE principal = ?", (principal,)).rowcount > 0
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    @property
    def changes(self) -> int:
        """See `PrincipalStore`."""
        try:
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()
