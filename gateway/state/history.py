"""An endpoint's counters over time, as JSON objects that this file does not look into."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from gateway.state.store import StoreError


class History:
    """Counters by endpoint and second. They only ever grow, so any two points tell what happened between."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, at_s: int, totals: Mapping[str, str], oldest_s: int) -> None:
        """Keeps each endpoint's counters, and forgets what is older than `oldest_s`.

        Raises:
            StoreError: the store can't be written now.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for endpoint, text in totals.items():
                self._db.execute("INSERT OR REPLACE INTO history VALUES (?, ?, ?)", (endpoint, at_s, text))
                self._db.execute("DELETE FROM history WHERE endpoint = ? AND at_s < ?", (endpoint, oldest_s))
            self._db.execute("COMMIT")
        except sqlite3.Error as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StoreError(str(exc)) from exc

    def points(self, endpoint: str, since_s: int, step_s: int) -> list[tuple[int, str]]:
        """Time and counters, oldest first: the last of each step since then, and the last one before it."""
        before = self._db.execute(
            "SELECT at_s, totals FROM history WHERE endpoint = ? AND at_s < ? ORDER BY at_s DESC LIMIT 1",
            (endpoint, since_s),
        )
        after = self._db.execute(
            "SELECT at_s, totals FROM history WHERE endpoint = ? AND at_s IN (SELECT max(at_s) FROM history"
            " WHERE endpoint = ? AND at_s >= ? GROUP BY at_s / ?) ORDER BY at_s",
            (endpoint, endpoint, since_s, step_s),
        )
        return [(int(at_s), str(text)) for at_s, text in (*before.fetchall(), *after.fetchall())]
