"""What pages of many requests are made from, read without the records themselves wherever that is possible."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.state.narrowing import narrowed
from gateway.state.record import WORDS, Record, Trace, Word
from gateway.state.store import Filter

By = Literal["principal", "digest"]
_NEWEST = 10_000  # requests that counts are of: a page of a full store takes no longer than that
_NEWEST_TOPS = 5000
_NEWEST_WIDE = 5000  # where the records' own rows must be read


@dataclass(frozen=True, slots=True)
class Group:
    """Requests that have the principal or the input `key`: how many, of which verdicts, from when to when (ns)."""

    key: str
    count: int
    verdicts: dict[Word, int]
    first_ns: int
    last_ns: int
    newest: str


@dataclass(slots=True)
class Caller:
    """How many requests of one principal the store holds, by verdict."""

    verdicts: dict[Word, int] = field(default_factory=dict)

    def count(self, word: Word) -> int:
        """With this verdict."""
        return self.verdicts.get(word, 0)


class Lists:
    """The lists of one store. `current`: see `SqliteStore`."""

    def __init__(self, db: sqlite3.Connection, current: bool) -> None:
        self._db = db
        self._current = current

    @property
    def stamp(self) -> tuple[int, int]:
        """Two numbers that stay as long as the store does: of what others wrote, and of what this connection did."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0]), self._db.total_changes

    def ids(self, wanted: Filter, limit: int, after: str | None = None) -> list[str]:
        """The ids of matching traces, newest first; `after` is the last one already seen.

        Raises:
            LookupError: no trace has the id `after`.
        """
        source, values = narrowed(wanted, self._current)
        if after is not None:
            row = self._db.execute("SELECT seq FROM requests WHERE id = ?", (after,)).fetchone()
            if row is None:
                raise LookupError(f"no trace has the id {after!r}: it may have been evicted")
            source, values = f"{source} AND seq < ?", [*values, row[0]]
        narrow = f"SELECT seq FROM {source} ORDER BY seq DESC LIMIT ?"
        rows = self._db.execute(f"SELECT id FROM requests WHERE seq IN ({narrow}) ORDER BY seq DESC", (*values, limit))
        return [str(row[0]) for row in rows]

    def traces(self, ids: Iterable[str]) -> dict[str, Trace]:
        """The traces with these ids, as far as they are still there."""
        rows = self._db.execute(
            "SELECT id, record, payload FROM requests WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        return {str(name): Trace(Record.from_json(record), payload) for name, record, payload in rows}

    def groups(self, wanted: Filter, by: By, limit: int, newest: int = _NEWEST) -> list[Group]:
        """The newest matching requests put together by principal or input, the group of the newest request first."""
        source, values = narrowed(wanted, self._current)
        column = {"principal": "principal", "digest": "digest"}[by]
        known = f"SELECT seq, {column} AS key, verdict, started_ns FROM {source} ORDER BY seq DESC LIMIT ?"
        rows = self._db.execute(
            "SELECT key, count(*), sum(verdict = 'flag'), sum(verdict = 'reject'), sum(verdict = 'error'),"
            f" min(started_ns), max(started_ns), max(seq) FROM ({known}) WHERE key IS NOT NULL"
            " GROUP BY 1 ORDER BY 8 DESC LIMIT ?",
            (*values, newest if by == "principal" else min(newest, _NEWEST_WIDE), limit),
        ).fetchall()
        ids = dict(
            self._db.execute(
                "SELECT seq, id FROM requests WHERE seq IN (SELECT value FROM json_each(?))",
                (json.dumps([row[-1] for row in rows]),),
            )
        )
        return [
            Group(key, count, {"flag": flagged, "reject": rejected, "error": failed}, first, last, ids[seq])
            for key, count, flagged, rejected, failed, first, last, seq in rows
        ]

    def tops(
        self, wanted: Filter, by: Literal["stage", "principal"], most: int, newest: int = _NEWEST_TOPS
    ) -> tuple[tuple[str, int], ...]:
        """The most frequent deciding stages (`""` where none decided) or principals of the newest matching traces."""
        source, values = narrowed(wanted, self._current)
        column = {"stage": "stage", "principal": "principal"}[by]
        known = f"SELECT coalesce({column}, '') AS name FROM {source} ORDER BY seq DESC LIMIT ?"
        rows = self._db.execute(
            f"SELECT name, count(*) FROM ({known}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?", (*values, newest, most)
        )
        return tuple((str(name), int(count)) for name, count in rows)

    def callers(
        self, since_ns: int, *, most: int = -1, containing: str = "", names: Sequence[str] | None = None
    ) -> dict[str, Caller]:
        """The principals of the newest requests since then, those first of whom most was stopped.

        At most `most` of those with `containing` in their name, or only these `names`.
        """
        source, values = narrowed(Filter(since_ns=since_ns), self._current)
        pairs = f"SELECT seq, principal, verdict FROM {source} ORDER BY seq DESC LIMIT ?"
        tests, wanted = "instr(lower(principal), lower(?))", [containing]
        if names is not None:
            tests, wanted = f"{tests} AND principal IN (SELECT value FROM json_each(?))", [*wanted, json.dumps(names)]
        counts = ", ".join(f"sum(verdict = '{word}')" for word in WORDS)
        rows = self._db.execute(
            f"SELECT principal, {counts} FROM ({pairs}) WHERE {tests} GROUP BY 1"
            " ORDER BY sum(verdict = 'flag' OR verdict = 'reject') DESC, max(seq) DESC LIMIT ?",
            (*values, _NEWEST, *wanted, most),
        )
        return {str(principal): Caller(dict(zip(WORDS, found, strict=True))) for principal, *found in rows}
