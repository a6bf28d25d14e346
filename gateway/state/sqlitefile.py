"""A SQLite file of ours: opened by many processes, told from other programs' files and later releases'."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import OperatorError
from gateway.state.store import StoreError

_BUSY_S = 2.0


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file `name` in the state folder that holds `what`. `tables` are statements that older versions may be given."""

    name: str
    what: str
    application: int
    version: int
    tables: Sequence[str]

    def open(self, folder: Path, *, make: bool = True) -> sqlite3.Connection:
        """Opens the file in the folder, and makes it where it is missing.

        Raises:
            OperatorError: it is another database, or a later release's; or it is missing and not to be made.
            StoreError: it can't be read or written now.
        """
        file = folder / self.name
        if not make and not file.is_file():
            raise OperatorError(f"{file}: expected {self.what} of a gateway that has served, found no file")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(f"{file}: {exc}") from exc
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            self._prepare(db, file)
        except BaseException as exc:
            db.close()
            if isinstance(exc, sqlite3.Error):
                raise StoreError(f"{file}: {exc}") from exc
            raise
        return db

    def _prepare(self, db: sqlite3.Connection, file: Path) -> None:
        with writing(db):
            application = int(db.execute("PRAGMA application_id").fetchone()[0])
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
            if application != self.application and (application or tables):
                raise OperatorError(f"{file}: expected watchgate's, with {self.what}, found another SQLite database")
            if version > self.version:
                expected = f"expected version {self.version} or older"
                raise OperatorError(f"{file}: {expected}, found {version}: a later watchgate's")
            if version < self.version:
                for statement in self.tables:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {self.application}")
                db.execute(f"PRAGMA user_version = {self.version}")


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
