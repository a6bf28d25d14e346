from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.state.record import Entry, Record
from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import EVERYTHING, Filter, StoreError
from gateway.telemetry.describe import describe
from tests.traffic import failed, observe, odd, typical, wild


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open_for_writing(tmp_path)
    yield store
    store.close()


def ids(store: SqliteStore, wanted: Filter = EVERYTHING, **more: object) -> list[str]:
    return [trace.record.id for trace in store.find(wanted, **more)]  # type: ignore[arg-type]


def test_a_trace_comes_back_whole(store: SqliteStore) -> None:
    entry = describe(observe(np.concatenate([typical(2), odd(1), wild(1)])))
    store.write([entry])
    trace = store.get(entry.record.id[:6])
    assert trace.record == entry.record
    assert trace.payload == "kept"
    arrays = store.arrays(entry.record.id)
    np.testing.assert_array_equal(arrays["input"], np.concatenate([odd(1), wild(1)]))
    np.testing.assert_array_equal(arrays["purified"], entry.arrays["purified"])


def test_another_process_sees_it(store: SqliteStore, tmp_path: Path) -> None:
    store.write([describe(observe(wild(1)))])
    reader = SqliteStore.open_for_reading(tmp_path)
    assert ids(reader) == ids(store)
    with pytest.raises(StoreError, match="readonly"):
        reader.write([describe(observe(wild(1)))])
    reader.close()


def test_equal_rows_are_kept_once(store: SqliteStore, tmp_path: Path) -> None:
    entries = [describe(observe(wild(1))) for _ in range(5)]
    store.write(entries)
    assert _count(tmp_path, "payloads") == 1
    for entry in entries:
        np.testing.assert_array_equal(store.arrays(entry.record.id)["input"], wild(1))


def test_an_id_is_kept_once(store: SqliteStore) -> None:
    entry = describe(observe(wild(1)))
    store.write([entry])
    store.write([entry, entry])
    assert ids(store) == [entry.record.id]


def test_filters(store: SqliteStore) -> None:
    now = time.time_ns()
    entries = [
        describe(observe(wild(1), started_ns=now - 30, principal="a")),
        describe(observe(odd(1), started_ns=now - 20, principal="b")),
        describe(observe(wild(1), started_ns=now - 10, principal="b", endpoint="other")),
        describe(failed(principal="a")),
    ]
    store.write(entries)
    first, second, third, fourth = (entry.record.id for entry in entries)
    assert ids(store) == [fourth, third, second, first]
    assert ids(store, Filter(since_ns=now - 20, until_ns=now - 10)) == [second]
    assert ids(store, Filter(endpoint="other")) == [third]
    assert ids(store, Filter(verdicts=("reject",))) == [third, first]
    assert ids(store, Filter(verdicts=("flag", "error"))) == [fourth, second]
    assert ids(store, Filter(stage="broken")) == [fourth]
    assert ids(store, Filter(principal="a", verdicts=("reject",))) == [first]
    assert ids(store, Filter(principal="' OR 1 --")) == []
    assert [trace.record.id for trace in store.walk(Filter(principal="b"))] == [third, second]


def test_pages_follow_one_another(store: SqliteStore) -> None:
    store.write([describe(observe(wild(1))) for _ in range(7)])
    seen: list[str] = []
    while page := ids(store, limit=3, after=seen[-1] if seen else None):
        seen += page
    assert seen == ids(store)
    with pytest.raises(LookupError, match="no trace"):
        store.find(after="0" * 32)


def test_a_prefix_must_single_one_out(store: SqliteStore) -> None:
    record = describe(observe(wild(1))).record
    twins = [Record.from_json(record.to_json().replace(record.id.encode(), b)) for b in (b"ab" * 16, b"ac" * 16)]
    store.write([Entry(twin) for twin in twins])
    assert store.get("ab").record.id == "ab" * 16
    with pytest.raises(LookupError, match="several"):
        store.get("a")
    with pytest.raises(LookupError, match="no trace"):
        store.get("f")


def test_a_failed_write_keeps_nothing_of_the_batch(store: SqliteStore) -> None:
    good = describe(observe(wild(1)))
    bad = Entry(good.record, "kept", {"input": np.array([object()])})
    with pytest.raises(ValueError, match="Object arrays"):
        store.write([good, bad])
    assert ids(store) == []
    store.write([good])
    assert ids(store) == [good.record.id]


def test_a_locked_store_says_try_again(store: SqliteStore, tmp_path: Path) -> None:
    store._db.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    entry = describe(observe(wild(1)))
    with pytest.raises(StoreError, match="locked"):
        store.write([entry])
    other.execute("ROLLBACK")
    other.close()
    store.write([entry])
    assert ids(store) == [entry.record.id]


def test_a_chain_is_described(store: SqliteStore) -> None:
    assert store.chain("digits", "v1") is None
    store.describe_chain("digits", "v1", {"input": {"kind": "image", "bounds": [0.0, 1.0]}})
    assert store.chain("digits", "v1") == {"input": {"kind": "image", "bounds": [0.0, 1.0]}}


def test_a_later_releases_store_is_refused(tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 9")
    db.close()
    for open_store in (SqliteStore.open_for_writing, SqliteStore.open_for_reading):
        with pytest.raises(OperatorError, match="expected trace store version 2 or older, found 9"):
            open_store(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(OperatorError, match="found another SQLite database"):
        SqliteStore.open_for_writing(tmp_path)


def test_no_store_to_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="found no file"):
        SqliteStore.open_for_reading(tmp_path)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, " * 100)
    with pytest.raises(OperatorError, match="not a database"):
        SqliteStore.open_for_reading(tmp_path)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore.open_for_writing(tmp_path)


def _count(folder: Path, table: str) -> int:
    db = sqlite3.connect(folder / FILE)
    count = int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    db.close()
    return count


def test_what_the_store_holds_is_told(store: SqliteStore) -> None:
    now = time.time_ns()
    entries = [describe(observe(wild(1), started_ns=now - at, principal="a" if at else "b")) for at in range(3)]
    store.write([*entries, describe(observe(odd(1))), describe(failed())])
    assert store.newest("digits") == ("a" * 64, store.find(limit=1)[0].record.started_ns)
    assert store.newest("nobody") is None
    assert store.used()[0] == 5


def test_every_chain_that_served_is_known(store: SqliteStore) -> None:
    store.describe_chain("b", "v2", {"stages": []})
    store.describe_chain("a", "v1", {"stages": [{"name": "energy"}]})
    assert store.chains() == [("a", {"stages": [{"name": "energy"}]}), ("b", {"stages": []})]
