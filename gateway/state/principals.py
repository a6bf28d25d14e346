"""`principals.db`: marks on principals and how much each asked, shared by all workers of a host.

A file of its own beside the traces: what decides on answers neither waits for their writer nor is evicted with them.
Marks add up: every worker adds the like queries that it saw.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import OperatorError
from gateway.state.store import StoreError

FILE = "principals.db"
VERSION = 2
_APPLICATION = 0x57475052  # "WGPR"
_BUSY_S = 2.0
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
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a principal is marked: the first reason, and how many like queries there were. Times as `time.time_ns()`."""

    principal: str
    endpoint: str
    reason: str
    alike: int
    since_ns: int
    until_ns: int


class PrincipalStore:
    """An open `principals.db`; belongs to the thread that opened it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @staticmethod
    def open(folder: Path, *, make: bool = True) -> PrincipalStore:
        """Opens the file, and makes it where it is missing.

        Raises:
            OperatorError: it is another database, or a later release's; or it is missing and not to be made.
            StoreError: it can't be read or written now.
        """
        file = folder / FILE
        if not make and not file.is_file():
            raise OperatorError(f"{file}: expected the principals of a gateway that has served, found no file")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(f"{file}: {exc}") from exc
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            _prepare(db, file)
        except BaseException as exc:
            db.close()
            if isinstance(exc, sqlite3.Error):
                raise StoreError(f"{file}: {exc}") from exc
            raise
        return PrincipalStore(db)

    def add(self, marks: Mapping[str, Mark], queries: Mapping[str, int], now_ns: int) -> None:
        """Adds like queries to marks (a mark that has ended begins anew) and queries to principals' numbers.

        Raises:
            StoreError: try again later; nothing was added.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
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
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(str(exc)) from exc

    def marks(self, now_ns: int) -> dict[str, Mark]:
        """The marks that hold now.

        Raises:
            StoreError: try again later.
        """
        try:
            rows = self._db.execute("SELECT * FROM principal_marks WHERE until_ns > ?", (now_ns,)).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc
        return {row[0]: Mark(*row) for row in rows}

    def queries(self) -> dict[str, int]:
        """How many rows each principal asked, the latest first."""
        rows = self._db.execute("SELECT principal, queries FROM principal_queries ORDER BY last_ns DESC, principal")
        return dict(rows.fetchall())

    def share(self, worker: str, asked: Sequence[tuple[str, bytes]], now_ns: int) -> None:
        """Tells the other workers what was asked: endpoint and packed rows.

        Raises:
            StoreError: try again later; nothing was told.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM shared_queries WHERE at_ns < ?", (now_ns - _SHARED_NS,))
            self._db.executemany(
                "INSERT INTO shared_queries (worker, endpoint, at_ns, asked) VALUES (?, ?, ?, ?)",
                [(worker, endpoint, now_ns, packed) for endpoint, packed in asked],
            )
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(str(exc)) from exc

    def shared(self, worker: str, after: int) -> list[tuple[int, str, bytes]]:
        """Number, endpoint and packed rows that other workers told after the number `after`.

        Raises:
            StoreError: try again later.
        """
        try:
            return self._db.execute(
                "SELECT seq, endpoint, asked FROM shared_queries WHERE seq > ? AND worker != ? ORDER BY seq",
                (after, worker),
            ).fetchall()
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def lift(self, principal: str) -> bool:
        """Takes the mark off; whether there was one."""
        try:
            return self._db.execute("DELETE FROM principal_marks WHERE principal = ?", (principal,)).rowcount > 0
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    @property
    def changes(self) -> int:
        """A number that changes when another connection has written.

        Raises:
            StoreError: try again later.
        """
        try:
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()


def _prepare(db: sqlite3.Connection, file: Path) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if application != _APPLICATION and (application or tables):
            raise OperatorError(f"{file}: expected watchgate's principals, found another SQLite database")
        if version > VERSION:
            raise OperatorError(f"{file}: expected version {VERSION} or older, found {version}: a later watchgate's")
        if version < VERSION:
            for statement in _TABLES:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
