"""The default store: one SQLite file, shared by all worker processes and by whoever reads it.

WAL with synchronous=NORMAL: a commit survives `kill -9` of any process, because the operating system holds its pages;
after a power loss the file opens, but the last seconds' commits may be gone.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gateway.errors import OperatorError
from gateway.state.eviction import evict, expire, principal_caps
from gateway.state.history import History
from gateway.state.lists import Lists
from gateway.state.marks import Marks
from gateway.state.narrowing import narrowed
from gateway.state.payload import Blob, pack, unpack
from gateway.state.record import Entry, PayloadState, Record, Trace
from gateway.state.schema import CLEAN, VERDICTS, VERSION, check, prepare
from gateway.state.store import DEFAULT_QUOTA, EVERYTHING, Filter, Quota, StoreError
from models.batch import Array

FILE = "traces.db"
_OVERHEAD_BYTES = 300  # columns and index entries of one request, charged to it
_OPEN_BUSY_S = 5.0  # workers that start together make the file one after the other
_WRITE_BUSY_MS = 500  # then the writer goes back to its lanes, and tries again
_SELECT = "SELECT record, payload FROM requests"
# A statement for many rows, not many statements: each hands the interpreter lock to the request path and back.
_REQUESTS = (
    "INSERT INTO requests (id, lane, started_ns, endpoint, version, principal, status, verdict, stage, label, digest,"
    " caller_trace_id, payload, record_bytes, payload_bytes, record) VALUES "
)
_CAPTURES = "INSERT INTO captures SELECT seq, column2, column3 FROM (VALUES {}) JOIN requests ON requests.id = column1"
_LANE, _PRINCIPAL = 1, 5  # of its columns
_AT_ONCE = 256  # entries; a statement takes only so many values


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of `requests`, and the payloads it captures by role."""

    columns: tuple[Any, ...]
    blobs: Mapping[str, Blob]


class SqliteStore:
    """`StateStore` in the folder `path`. Made by `open_for_writing` or `open_for_reading`."""

    def __init__(self, db: sqlite3.Connection, quota: Quota) -> None:
        self._db = db
        self._quota = quota
        self.marks = Marks(db)
        self.history = History(db)
        self.current = int(db.execute("PRAGMA user_version").fetchone()[0]) >= VERSION  # else only to be read
        self.lists = Lists(db, self.current)

    @staticmethod
    def open_for_writing(path: Path, quota: Quota = DEFAULT_QUOTA) -> SqliteStore:
        """Opens the store, making folder and tables where they are missing.

        Raises:
            OperatorError: the file is not a trace store, or a later release wrote it.
            StoreError: the folder can't be written, or the file is locked for long.
        """
        file = path / FILE
        try:
            path.mkdir(parents=True, exist_ok=True)
            db = _connect(file)
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(f"{file}: {exc}") from exc
        try:
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"journal_size_limit = {2**26}"):
                db.execute(f"PRAGMA {pragma}")
            prepare(db, file)
            db.execute(f"PRAGMA busy_timeout = {_WRITE_BUSY_MS}")
        except BaseException as exc:
            db.close()
            if isinstance(exc, sqlite3.Error):
                raise StoreError(f"{file}: {exc}") from exc
            raise
        return SqliteStore(db, quota)

    @staticmethod
    def open_for_reading(path: Path) -> SqliteStore:
        """Opens a store that exists.

        Raises:
            OperatorError: there is none, or this release can't read it.
        """
        file = path / FILE
        if not file.is_file():
            raise OperatorError(f"{file}: expected the trace store of a gateway that has served, found no file")
        try:
            db = _connect(file)
            db.execute("PRAGMA query_only = ON")
            check(db, file)
        except sqlite3.Error as exc:
            raise OperatorError(f"{file}: expected a readable trace store, found: {exc}") from exc
        return SqliteStore(db, DEFAULT_QUOTA)

    def write(self, entries: Sequence[Entry]) -> None:
        """See `StateStore.write`. Entries go into one transaction."""
        packed = [self._row(entry) for entry in entries]  # outside the transaction: others may write
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for start in range(0, len(packed), _AT_ONCE):
                    self._insert(packed[start : start + _AT_ONCE])
                touched = {(row.columns[_LANE], row.columns[_PRINCIPAL]) for row in packed}
                evict(self._db, self._quota, sorted(touched), time.time_ns())
                self._db.execute("COMMIT")
            except BaseException:
                self._rollback()
                raise
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.InterfaceError):
            raise  # the entry's fault: the same again next time
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def describe_chain(self, endpoint: str, version: str, facts: Mapping[str, Any]) -> None:
        """See `StateStore.describe_chain`."""
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO chains VALUES (?, ?, ?)", (endpoint, version, json.dumps(dict(facts)))
            )
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    def tidy(self) -> None:
        """See `StateStore.tidy`."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            expire(self._db, self._quota, time.time_ns())
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            self._rollback()
            raise StoreError(str(exc)) from exc

    def find(self, wanted: Filter = EVERYTHING, limit: int = 50, after: str | None = None) -> list[Trace]:
        """See `StateStore.find`."""
        source, values = narrowed(wanted, self.current)
        if after is not None:
            source += " AND seq < ?"
            values.append(self._seq(after))
        narrow = f"SELECT seq FROM {source} ORDER BY seq DESC LIMIT ?"
        rows = self._db.execute(f"{_SELECT} WHERE seq IN ({narrow}) ORDER BY seq DESC", (*values, limit))
        return [_trace(*row) for row in rows]

    def chains(self) -> list[tuple[str, dict[str, Any]]]:
        """Every endpoint and what is known of a chain that it had."""
        rows = self._db.execute("SELECT endpoint, facts FROM chains ORDER BY endpoint, version")
        return [(str(endpoint), json.loads(facts)) for endpoint, facts in rows]

    def inputs(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By endpoint and chain version what is known of the input: its kind, shape, columns."""
        rows = self._db.execute("SELECT endpoint, version, facts FROM chains")
        return {(endpoint, version): json.loads(facts).get("input") or {} for endpoint, version, facts in rows}

    def used(self) -> tuple[int, int]:
        """Requests and bytes that the store holds."""
        records, size = self._db.execute("SELECT sum(records), sum(bytes) FROM totals").fetchone()
        return int(records), int(size)

    def newest(self, endpoint: str) -> tuple[str, int] | None:
        """The chain version of the endpoint's newest trace, and when that request came; None without traces."""
        source, values = narrowed(Filter(endpoint=endpoint), self.current)
        row = self._db.execute(f"SELECT seq FROM {source} ORDER BY seq DESC LIMIT 1", values).fetchone()
        if row is None:
            return None
        version, started_ns = self._db.execute("SELECT version, started_ns FROM requests WHERE seq = ?", row).fetchone()
        return str(version), int(started_ns)

    def walk(self, wanted: Filter = EVERYTHING) -> Iterator[Trace]:
        """See `StateStore.walk`. The open statement holds a snapshot, `arrays` in between reads from it too."""
        source, values = narrowed(wanted, self.current)
        for row in self._db.execute(f"SELECT record, payload FROM {source} ORDER BY seq DESC", values):
            yield _trace(*row)

    def get(self, prefix: str) -> Trace:
        """See `StateStore.get`."""
        rows = self._db.execute(
            f"{_SELECT} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (prefix, prefix + "~")
        ).fetchall()
        if not rows:
            raise LookupError(f"no trace has an id that starts with {prefix!r}")
        if len(rows) > 1:
            raise LookupError(f"several traces have an id that starts with {prefix!r}: give more of it")
        return _trace(*rows[0])

    def arrays(self, trace_id: str) -> dict[str, Array]:
        """See `StateStore.arrays`."""
        rows = self._db.execute(
            "SELECT role, data FROM captures JOIN payloads USING (digest)"
            " WHERE request = (SELECT seq FROM requests WHERE id = ?)",
            (trace_id,),
        )
        return {role: unpack(data) for role, data in rows}

    def chain(self, endpoint: str, version: str) -> dict[str, Any] | None:
        """See `StateStore.chain`."""
        row = self._db.execute(
            "SELECT facts FROM chains WHERE endpoint = ? AND version = ?", (endpoint, version)
        ).fetchone()
        return None if row is None else cast("dict[str, Any]", json.loads(row[0]))

    def close(self) -> None:
        """See `StateStore.close`."""
        self._db.close()

    def _row(self, entry: Entry) -> _Row:
        """What the tables hold of an entry, but for the number that the store gives it."""
        record, payload = entry.record, entry.payload
        blobs = {role: pack(array) for role, array in entry.arrays.items()}
        lane = CLEAN if record.verdict == "allow" else VERDICTS
        text = record.to_json().decode()
        size = sum(len(blob.data) for blob in blobs.values())
        if size > principal_caps(self._quota, lane)[1]:
            payload, blobs, size = "quota", {}, 0
        columns = (record.id, lane, record.started_ns, record.endpoint, record.version, record.principal)
        verdict = (record.status, record.verdict, record.stage, record.label, record.digest, record.caller_trace_id)
        return _Row((*columns, *verdict, payload, len(text) + _OVERHEAD_BYTES, size, text), blobs)

    def _insert(self, rows: Sequence[_Row]) -> None:
        """Those whose id is not known yet."""
        ids = json.dumps([row.columns[0] for row in rows])
        query = "SELECT json_group_array(id) FROM requests WHERE id IN (SELECT value FROM json_each(?))"
        known = set(json.loads(self._db.execute(query, (ids,)).fetchone()[0]))
        new = {row.columns[0]: row for row in rows if row.columns[0] not in known}
        captures = [(name, role, blob) for name, row in new.items() for role, blob in row.blobs.items()]
        self._many(_REQUESTS + "{}", [row.columns for row in new.values()])
        self._many("INSERT OR IGNORE INTO payloads VALUES {}", [(blob.digest, blob.data) for _, _, blob in captures])
        self._many(_CAPTURES, [(name, role, blob.digest) for name, role, blob in captures])

    def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            places = f"({', '.join('?' * len(rows[0]))})"
            self._db.execute(
                statement.format(", ".join([places] * len(rows))), [value for row in rows for value in row]
            )

    def _seq(self, trace_id: str) -> int:
        row = self._db.execute("SELECT seq FROM requests WHERE id = ?", (trace_id,)).fetchone()
        if row is None:
            raise LookupError(f"no trace has the id {trace_id!r}: it may have been evicted")
        return int(row[0])

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _connect(file: Path) -> sqlite3.Connection:
    """Autocommit; transactions are written out. The recorder keeps a connection alive beyond its thread."""
    db = sqlite3.connect(file, timeout=_OPEN_BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    return db


def _trace(record: str, payload: PayloadState) -> Trace:
    return Trace(Record.from_json(record), payload)
