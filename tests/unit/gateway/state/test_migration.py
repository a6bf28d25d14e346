from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gateway.state.record import Entry
from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import Filter
from gateway.telemetry.describe import describe
from tests.traffic import failed, observe, odd, typical, wild

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def old(tmp_path: Path) -> list[Entry]:
    """A store that the first release wrote: three requests, one of them with its rows."""
    entries = [
        describe(observe(np.concatenate([typical(2), wild(1)]), traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")),
        describe(observe(odd(1))),
        describe(failed()),
    ]
    db = sqlite3.connect(tmp_path / FILE)
    db.executescript((Path(__file__).parent / "version1.sql").read_text())
    for entry in entries:
        one = entry.record
        facts = (one.id, 0, one.started_ns, one.endpoint, one.version, one.principal, one.status, one.verdict)
        db.execute(
            "INSERT INTO requests (id, lane, started_ns, endpoint, version, principal, status, verdict, stage, payload,"
            " record_bytes, payload_bytes, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'none', 900, 0, ?)",
            (*facts, one.stage, one.to_json().decode()),
        )
    db.commit()
    db.close()
    return entries


def test_old_tables_are_read_as_they_are(old: list[Entry], tmp_path: Path) -> None:
    store = SqliteStore.open_for_reading(tmp_path)
    assert [trace.record for trace in store.find()] == [entry.record for entry in reversed(old)]
    assert [trace.record.id for trace in store.find(Filter(verdicts=("flag",)))] == [old[1].record.id]
    store.close()


def test_a_writer_brings_them_up_to_date(old: list[Entry], tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    store = SqliteStore.open_for_writing(tmp_path)  # nothing is left to do
    first, second, third = (entry.record for entry in old)
    assert [trace.record for trace in store.find()] == [third, second, first]
    assert [trace.record for trace in store.find(Filter(begins=TRACE[:9]))] == [first]
    assert [trace.record for trace in store.find(Filter(digest=second.digest))] == [second]
    assert [trace.record for trace in store.find(Filter(label=first.label, verdicts=("reject",)))] == [first]
    store.marks.put(first, "attack")
    store.write([describe(observe(wild(1)))])
    assert store.used()[0] == 4
    store.close()


def test_both_ways_to_the_tables_give_the_same(old: list[Entry], tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    SqliteStore.open_for_writing(tmp_path / "new").close()
    shapes = [_shape(folder) for folder in (tmp_path, tmp_path / "new")]
    assert shapes[0] == shapes[1]


def _shape(folder: Path) -> dict[str, object]:
    """Columns of every table, and the text of every index and trigger."""
    db = sqlite3.connect(folder / FILE)
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    tables = {name: {row[1:3] for row in db.execute(f"PRAGMA table_info({name})")} for name in names}
    others = set(db.execute("SELECT name, sql FROM sqlite_master WHERE type != 'table'"))
    db.close()
    return {"tables": tables, "others": others}
