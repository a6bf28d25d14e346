"""`shared.db`: what the workers of one host share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gateway.state.shared import bounds
from gateway.state.shared.clock import Tick
from gateway.state.shared.store import Flush, Kept
from gateway.state.shared.tables import SHARED
from gateway.state.shared.vectors import packed, unpacked
from gateway.state.sqlitefile import writing
from gateway.state.store import StoreError
from models.batch import Array

_NONE = -(2**62)  # before all buckets
_AT_ONCE = 500  # values that a statement takes


class SqliteShared:
    """A `SharedStore` in a file; belongs to the thread that opened it. `clock` may go back."""

    def __init__(self, db: sqlite3.Connection, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._clock = clock
        self._told = 0.0
        self._tidied = 0.0

    @staticmethod
    def open(folder: Path, *, make: bool = True, clock: Callable[[], float] = time.time) -> SqliteShared:
        """Opens the file in the folder, and makes it where it is missing.

        Raises:
            OperatorError: it is another database, or a later release's; or it is missing and not to be made.
            StoreError: it can't be read or written now.
        """
        return SqliteShared(SHARED.open(folder, make=make), clock)

    def now(self) -> float:
        """The host's clock, which never goes back: see `Tick`."""
        with self._reading() as db:
            before = _last_tick(db)
        tick = before.at(self._clock())
        if tick.is_worth_keeping(before):
            with self._writing() as db:
                tick = _last_tick(db).at(self._clock())
                db.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (tick.clock, tick.now))
        self._told = max(self._told, tick.now)
        return self._told

    def add(self, flush: Flush) -> None:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            last = db.execute("SELECT sequence FROM replicas WHERE replica = ?", (flush.replica,)).fetchone()
            if last is not None and flush.sequence <= last[0]:
                return
            for (key, bucket), sums in flush.sums.items():
                _add(db, key, bucket, np.asarray(sums, dtype=np.int64), now)
            db.execute("INSERT OR REPLACE INTO replicas VALUES (?, ?, ?)", (flush.replica, flush.sequence, now))
            self._tidy(db, now)

    def seal(self, key: str, through: int) -> int:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            _key(db, key, 0, now)
            db.execute("UPDATE keys SET sealed = max(sealed, ?), at = ? WHERE key = ?", (through, now, key))
            return int(db.execute("SELECT sealed FROM keys WHERE key = ?", (key,)).fetchone()[0])

    def sealed(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """See `SharedStore`."""
        query = (
            "SELECT bucket, sums FROM sums WHERE key = ? AND late = 0 AND bucket > ?"
            " AND bucket <= (SELECT sealed FROM keys WHERE keys.key = sums.key) ORDER BY bucket LIMIT ?"
        )
        with self._reading() as db:
            return [(bucket, unpacked(sums)) for bucket, sums in db.execute(query, (key, after, limit))]

    def late(self, key: str, after: int, limit: int = 1000) -> list[tuple[int, Array]]:
        """See `SharedStore`."""
        query = "SELECT bucket, sums FROM sums WHERE key = ? AND late = 1 AND bucket > ? ORDER BY bucket LIMIT ?"
        with self._reading() as db:
            return [(bucket, unpacked(sums)) for bucket, sums in db.execute(query, (key, after, limit))]

    def late_rows(self, key: str) -> int:
        """See `SharedStore`."""
        with self._reading() as db:
            found = db.execute("SELECT late_rows FROM keys WHERE key = ?", (key,)).fetchone()
        return 0 if found is None else int(found[0])

    def forget(self, key: str, before: int) -> None:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            _key(db, key, 0, now)
            db.execute("UPDATE keys SET forgotten = max(forgotten, ?), at = ? WHERE key = ?", (before, now, key))
            db.execute("DELETE FROM sums WHERE key = ? AND bucket < ?", (key, before))

    def load(self, name: str) -> Kept | None:
        """See `SharedStore`."""
        with self._reading() as db:
            found = db.execute("SELECT token, value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if found is None else Kept(*found)

    def swap(self, name: str, token: int, value: bytes) -> bool:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            if token == 0:
                put = db.execute("INSERT OR IGNORE INTO kept VALUES (?, 1, ?, ?)", (name, value, now))
            else:
                put = db.execute(
                    "UPDATE kept SET token = token + 1, value = ?, at = ? WHERE name = ? AND token = ?",
                    (value, now, name, token),
                )
            return put.rowcount == 1

    def put_once(self, name: str, value: bytes, keep_s: float) -> bool:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            db.execute("DELETE FROM once WHERE until <= ?", (now,))
            put = db.execute("INSERT OR IGNORE INTO once VALUES (?, ?, ?)", (name, value, now + keep_s)).rowcount == 1
            self._tidy(db, now)
            return put

    def values(self, prefix: str, start: str = "", limit: int = 10_000) -> dict[str, bytes]:
        """See `SharedStore`."""
        wanted = (prefix + start, prefix + "\U0010ffff", self.now(), limit)
        query = "SELECT name, value FROM once WHERE name >= ? AND name < ? AND until > ? ORDER BY name DESC LIMIT ?"
        with self._reading() as db:
            return dict(reversed(db.execute(query, wanted).fetchall()))

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            taken = db.execute(
                "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET holder = excluded.holder,"
                " until = excluded.until WHERE holder = excluded.holder OR until <= ?",
                (name, holder, now + seconds, now),
            )
            return taken.rowcount == 1

    def log(self, key: str, entries: Sequence[tuple[str, bytes]], keep_s: float, most: int) -> None:
        """See `SharedStore`."""
        now = self.now()
        with self._writing() as db:
            last = db.execute("SELECT max(number) FROM log WHERE key = ?", (key,)).fetchone()[0] or 0
            db.executemany(
                "INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?)",
                [(key, id_, last + n, value, now + keep_s) for n, (id_, value) in enumerate(entries, 1)],
            )
            db.execute("DELETE FROM log WHERE key = ? AND number <= ?", (key, last + len(entries) - most))
            db.execute("DELETE FROM log WHERE until <= ?", (now,))

    def logged(self, key: str, ids: Sequence[str]) -> dict[str, bytes]:
        """See `SharedStore`."""
        found: dict[str, bytes] = {}
        now = self.now()
        with self._reading() as db:
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                query = f"SELECT id, value FROM log WHERE key = ? AND until > ? AND id IN ({','.join('?' * len(some))})"
                found |= dict(db.execute(query, (key, now, *some)).fetchall())
        return found

    def claim(self, key: str, rows: Sequence[tuple[str, int]]) -> list[bool]:
        """See `SharedStore`; a claim goes with what it is on."""
        now = self.now()
        with self._writing() as db:
            return [
                db.execute(
                    "INSERT OR IGNORE INTO log SELECT key, id || '#' || ?, number, x'', until FROM log"
                    " WHERE key = ? AND id = ? AND until > ?",
                    (row, key, id_, now),
                ).rowcount
                == 1
                for id_, row in rows
            ]

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def _tidy(self, db: sqlite3.Connection, now: float) -> None:
        """Drops, now and then, what nobody needs any more, whoever should have done it."""
        if now - self._tidied < bounds.TIDY_S:
            return
        self._tidied = now
        for table, keep_s in (("sums", bounds.SUMS_S), ("replicas", bounds.REPLICAS_S), ("kept", bounds.KEPT_S)):
            db.execute(f"DELETE FROM {table} WHERE at < ?", (now - keep_s,))
        db.execute("DELETE FROM leases WHERE until < ?", (now - bounds.DAY_S,))
        db.execute(
            "DELETE FROM keys WHERE at < ? AND NOT EXISTS (SELECT 1 FROM sums WHERE sums.key = keys.key)",
            (now - bounds.KEPT_S,),
        )
        db.execute(
            "DELETE FROM once WHERE name IN (SELECT name FROM once ORDER BY until DESC LIMIT -1 OFFSET ?)",
            (bounds.VALUES,),
        )
        for (key,) in db.execute("SELECT key FROM keys").fetchall():
            db.execute(
                "DELETE FROM sums WHERE key = ?1 AND bucket <= (SELECT bucket FROM sums WHERE key = ?1 AND late = 0"
                " ORDER BY bucket DESC LIMIT 1 OFFSET ?2)",
                (key, bounds.BUCKETS),
            )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db, writing(db):
            yield db


def _last_tick(db: sqlite3.Connection) -> Tick:
    found = db.execute("SELECT clock, now FROM clock").fetchone()
    return Tick(0.0, 0.0) if found is None else Tick(*found)


def _key(db: sqlite3.Connection, key: str, length: int, now: float) -> tuple[int, int]:
    """Up to where the key is sealed and forgotten; it is made where it is missing. `length` 0: not known.

    Raises:
        ValueError: its vectors have another length.
    """
    found = db.execute("SELECT sealed, forgotten, length FROM keys WHERE key = ?", (key,)).fetchone()
    if found is None:
        db.execute("INSERT INTO keys VALUES (?, ?, ?, 0, ?, ?)", (key, _NONE, _NONE, length, now))
        return _NONE, _NONE
    if length and found[2] != length:
        if found[2]:
            raise ValueError(f"{key}: expected {found[2]} numbers, found {length}")
        db.execute("UPDATE keys SET length = ? WHERE key = ?", (length, key))
    return int(found[0]), int(found[1])


def _add(db: sqlite3.Connection, key: str, bucket: int, sums: Array, now: float) -> None:
    sealed, forgotten = _key(db, key, len(sums), now)
    late = bucket <= sealed or bucket < forgotten
    if late:
        db.execute("UPDATE keys SET late_rows = late_rows + ? WHERE key = ?", (int(sums[0]), key))
    if bucket < forgotten:
        return
    place = (key, bucket, int(late))
    known = db.execute("SELECT sums FROM sums WHERE key = ? AND bucket = ? AND late = ?", place).fetchone()
    if known is not None:
        sums = sums + unpacked(known[0])
    db.execute("INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?, ?)", (*place, packed(sums), now))
