"""A filter as SQL: which rows of `requests`, and through which index."""

from __future__ import annotations

from typing import Any

from gateway.errors import OperatorError
from gateway.state.store import Filter

_FACTS = "requests INDEXED BY requests_facts"
_BEGINS = (
    "seq IN (SELECT seq FROM requests WHERE id >= ? AND id < ? UNION ALL"
    " SELECT seq FROM requests WHERE caller_trace_id >= ? AND caller_trace_id < ?)"
)


def narrowed(wanted: Filter, current: bool) -> tuple[str, list[Any]]:
    """What follows FROM, and its values. `current`: tables of this release, with the narrow index to go through.

    SQLite would rather walk the wide rows in the order asked for: the whole store, for a page of a rare kind.

    Raises:
        OperatorError: an older release's tables can't be asked that.
    """
    if not current and (wanted.label, wanted.digest, wanted.begins) != (None, None, None):
        raise OperatorError(
            "state.path: an older release wrote the trace store: `watchgate serve` brings it up to date"
        )
    where, values = _conditions(wanted)
    rare = wanted.digest is not None or wanted.begins is not None
    table = _FACTS if current and not rare else "requests"
    return f"{table} WHERE {' AND '.join(where) or '1'}", values


def _conditions(wanted: Filter) -> tuple[list[str], list[Any]]:
    tests: list[tuple[str, Any]] = [
        ("started_ns >= ?", wanted.since_ns),
        ("started_ns < ?", wanted.until_ns),
        ("endpoint = ?", wanted.endpoint),
        ("stage = ?", wanted.stage),
        ("principal = ?", wanted.principal),
        ("label = ?", wanted.label),
        ("digest = ?", wanted.digest),
    ]
    used = [(test, value) for test, value in tests if value is not None]
    where, values = [test for test, _ in used], [value for _, value in used]
    if wanted.verdicts:
        where.append(f"verdict IN ({', '.join('?' * len(wanted.verdicts))})")
        values.extend(wanted.verdicts)
    if wanted.begins is not None:
        where.append(_BEGINS)
        values.extend((wanted.begins, wanted.begins + "~") * 2)
    return where, values
