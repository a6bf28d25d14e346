"""What goes when the store is full: the largest principal's own oldest, never the few records of another.

Order: too old; then each principal back to its share; then, where many principals fill the store together, the
largest of them gives way first. A payload goes before the record it belongs to when bytes are short.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway.state.schema import CLEAN, VERDICTS
from gateway.state.store import Quota

_STEP = 512  # removals a call and cause: work stays bounded where a quota was lowered
_CLEAN_SHARE = 0.1  # of the store that sampled clean requests may fill


def caps(quota: Quota, lane: int) -> tuple[int, int]:
    """Requests and bytes a lane may hold."""
    clean = int(quota.max_requests * _CLEAN_SHARE), int(quota.max_bytes * _CLEAN_SHARE)
    return clean if lane == CLEAN else (quota.max_requests - clean[0], quota.max_bytes - clean[1])


def principal_caps(quota: Quota, lane: int) -> tuple[int, int]:
    """Requests and bytes one principal may fill in a lane."""
    requests, size = caps(quota, lane)
    return min(max(1, int(quota.max_requests * quota.principal_share)), requests), min(
        int(quota.max_bytes * quota.principal_share), size
    )


def evict(db: sqlite3.Connection, quota: Quota, touched: Iterable[tuple[int, str]], now_ns: int) -> None:
    """Brings the store back within its quota; `touched` are the (lane, principal) pairs that grew."""
    expire(db, quota, now_ns)
    for lane, principal in touched:
        _shrink(db, lane, principal, *principal_caps(quota, lane))
    for lane in (VERDICTS, CLEAN):
        _shrink_lane(db, lane, *caps(quota, lane))


def expire(db: sqlite3.Connection, quota: Quota, now_ns: int) -> None:
    """Removes what is older than the quota says, a bounded amount."""
    oldest = now_ns - int(quota.max_age_s * 1e9)
    _remove_all(db, "SELECT seq FROM requests WHERE started_ns < ? ORDER BY started_ns LIMIT ?", (oldest, _STEP))


def _shrink(db: sqlite3.Connection, lane: int, principal: str, records: int, size: int) -> None:
    whose = (lane, principal)
    held = _held(db, whose)
    if held[0] > records:
        oldest = "SELECT seq FROM requests WHERE lane = ? AND principal = ? ORDER BY seq LIMIT ?"
        _remove_all(db, oldest, (*whose, min(held[0] - records, _STEP)))
        held = _held(db, whose)
    for _ in range(_STEP):
        if held[1] <= size:
            return
        _remove_oldest(db, lane, principal, payload_only=True)
        held = _held(db, whose)


def _held(db: sqlite3.Connection, whose: tuple[int, str]) -> tuple[int, int]:
    """Records and bytes of one principal in a lane."""
    row = db.execute("SELECT records, bytes FROM usage WHERE lane = ? AND principal = ?", whose).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def _shrink_lane(db: sqlite3.Connection, lane: int, records: int, size: int) -> None:
    for _ in range(_STEP):
        held = db.execute("SELECT records, bytes FROM totals WHERE lane = ?", (lane,)).fetchone()
        if held[0] <= records and held[1] <= size:
            return
        measure = "records" if held[0] > records else "bytes"
        largest = db.execute(
            f"SELECT principal FROM usage WHERE lane = ? ORDER BY {measure} DESC LIMIT 1", (lane,)
        ).fetchone()
        _remove_oldest(db, lane, largest[0], payload_only=measure == "bytes")


def _remove_oldest(db: sqlite3.Connection, lane: int, principal: str, *, payload_only: bool) -> None:
    """The principal's oldest record; or, while it has one, only its oldest payload."""
    whose = (lane, principal)
    if payload_only:
        row = db.execute(
            "SELECT seq FROM requests WHERE lane = ? AND principal = ? AND payload = 'kept' ORDER BY seq LIMIT 1", whose
        ).fetchone()
        if row is not None:
            _drop_captures(db, f"[{row[0]}]")
            db.execute("UPDATE requests SET payload = 'evicted', payload_bytes = 0 WHERE seq = ?", row)
            return
    row = db.execute("SELECT seq FROM requests WHERE lane = ? AND principal = ? ORDER BY seq LIMIT 1", whose).fetchone()
    _remove(db, row[0])


def _remove(db: sqlite3.Connection, seq: int) -> None:
    _remove_all(db, "SELECT ? AS seq", (seq,))


def _remove_all(db: sqlite3.Connection, query: str, values: tuple[object, ...]) -> None:
    """The records whose `seq` the query finds: a few statements for however many."""
    found = db.execute(f"SELECT json_group_array(seq) FROM ({query})", values).fetchone()[0]
    if found == "[]":
        return
    _drop_captures(db, found)
    db.execute("DELETE FROM requests WHERE seq IN (SELECT value FROM json_each(?))", (found,))


def _drop_captures(db: sqlite3.Connection, requests: str) -> None:
    """What the requests (a JSON list of `seq`) have captured; a payload goes when none is left that has captured it."""
    where = "WHERE request IN (SELECT value FROM json_each(?))"
    digests = db.execute(f"SELECT json_group_array(DISTINCT digest) FROM captures {where}", (requests,)).fetchone()[0]
    if digests == "[]":
        return
    db.execute(f"DELETE FROM captures {where}", (requests,))
    db.execute(
        "DELETE FROM payloads WHERE digest IN (SELECT value FROM json_each(?))"
        " AND NOT EXISTS (SELECT 1 FROM captures WHERE captures.digest = payloads.digest)",
        (digests,),
    )
