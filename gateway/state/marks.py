"""What an operator says of a request: an attack, an honest one, or a broken client."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.state.record import Record, Word
from gateway.state.store import StoreError

MarkWord = Literal["attack", "honest", "broken"]
MARK_WORDS: tuple[MarkWord, ...] = ("attack", "honest", "broken")
NOTE_CHARS = 1000
_AT_ONCE = 500  # a statement takes only so many values
_COLUMNS = "request, endpoint, version, verdict, stage, word, note, marked_ns"


@dataclass(frozen=True, slots=True)
class Mark:
    """An operator's word on the request `request`, with the facts of it that statistics need. Time in ns."""

    request: str
    endpoint: str
    version: str
    verdict: Word
    stage: str | None
    word: MarkWord
    note: str
    marked_ns: int


class Marks:
    """The marks in a store; they stay when the request itself is evicted."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def put(self, record: Record, word: MarkWord, note: str = "") -> Mark:
        """Marks the request, in place of an earlier mark.

        Raises:
            StoreError: the store can't be written now.
        """
        facts = (record.id, record.endpoint, record.version, record.verdict, record.stage)
        mark = Mark(*facts, word, note[:NOTE_CHARS], time.time_ns())
        said = (mark.word, mark.note, mark.marked_ns)
        self._run("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*facts, *said))
        return mark

    def lift(self, request: str) -> None:
        """Takes a request's mark away.

        Raises:
            StoreError: the store can't be written now.
        """
        self._run("DELETE FROM marks WHERE request = ?", (request,))

    def of(self, requests: Iterable[str]) -> dict[str, Mark]:
        """The marks of those of these requests that have one."""
        ids, found = list(requests), dict[str, Mark]()
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            found |= {mark.request: mark for mark in self._read(f"request IN ({', '.join('?' * len(some))})", some)}
        return found

    def all(self, endpoint: str, version: str | None = None) -> list[Mark]:
        """An endpoint's marks, newest first; of one chain version only, if named."""
        wanted, values = "endpoint = ?", [endpoint]
        if version is not None:
            wanted, values = f"{wanted} AND version = ?", [*values, version]
        return self._read(f"{wanted} ORDER BY marked_ns DESC", values)

    def _read(self, wanted: str, values: list[str]) -> list[Mark]:
        return [Mark(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM marks WHERE {wanted}", values)]

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as exc:
            raise StoreError(str(exc)) from exc
