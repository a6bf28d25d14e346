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
    old = db.execute("SELECT seq FROM requests WHERE started_ns < ? ORDER BY started_ns LIMIT ?", (oldest, _STEP))
    for (seq,) in old.fetchall():
        _remove(db, seq)


def _shrink(db: sqlite3.Connection, lane: int, principal: str, records: int, size: int) -> None:
    for _ in range(_STEP):
        used = db.execute("SELECT records, bytes FROM usage WHERE lane = ? AND principal = ?", (lane, principal))
        held = used.fetchone()
        if held is None or (held[0] <= records and held[1] <= size):
            return
        _remove_oldest(db, lane, principal, payload_only=held[0] <= records)


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
            _drop_captures(db, row[0])
            db.execute("UPDATE requests SET payload = 'evicted', payload_bytes = 0 WHERE seq = ?", row)
            return
    row = db.execute("SELECT seq FROM requests WHERE lane = ? AND principal = ? ORDER BY seq LIMIT 1", whose).fetchone()
    _remove(db, row[0])


def _remove(db: sqlite3.Connection, seq: int) -> None:
    _drop_captures(db, seq)
    db.execute("DELETE FROM requests WHERE seq = ?", (seq,))


def _drop_captures(db: sqlite3.Connection, seq: int) -> None:
    digests = db.execute("SELECT digest FROM captures WHERE request = ?", (seq,)).fetchall()
    if not digests:
        return
    db.execute("DELETE FROM captures WHERE request = ?", (seq,))
    for (digest,) in digests:
        db.execute(
            "DELETE FROM payloads WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM captures WHERE digest = ?)",
            (digest, digest),
        )
