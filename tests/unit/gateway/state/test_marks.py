from __future__ import annotations

from pathlib import Path

import pytest

from gateway.state.marks import NOTE_CHARS, Marks
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Quota, StoreError
from gateway.telemetry.describe import describe
from tests.traffic import observe, wild


def test_a_mark_stays_when_the_store_is_opened_again(tmp_path: Path) -> None:
    record = describe(observe(wild(1))).record
    store = SqliteStore.open_for_writing(tmp_path)
    mark = store.marks.put(record, "attack", "the usual one")
    store.close()
    again = SqliteStore.open_for_writing(tmp_path)
    others = [f"other{i}" for i in range(40_000)]  # more than a statement takes
    assert again.marks.of([*others, record.id]) == {record.id: mark}
    assert (mark.endpoint, mark.verdict, mark.stage, mark.note) == ("digits", "reject", "brightness", "the usual one")
    again.close()


def test_a_mark_takes_the_place_of_an_earlier_one_and_can_be_lifted(tmp_path: Path) -> None:
    record = describe(observe(wild(1))).record
    store = SqliteStore.open_for_writing(tmp_path)
    store.marks.put(record, "attack")
    store.marks.put(record, "honest", "x" * 5000)
    (mark,) = store.marks.all("digits")
    assert (mark.word, len(mark.note)) == ("honest", NOTE_CHARS)
    assert store.marks.all("digits", "another version") == []
    store.marks.lift(record.id)
    assert store.marks.all("digits") == []
    store.close()


def test_it_outlives_its_request(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path, Quota(max_requests=10))
    first = describe(observe(wild(1)))
    store.write([first])
    store.marks.put(first.record, "honest")
    store.write([describe(observe(wild(1))) for _ in range(20)])
    with pytest.raises(LookupError):
        store.get(first.record.id)
    assert [mark.request for mark in store.marks.all("digits")] == [first.record.id]
    store.close()


def test_a_store_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    reader = SqliteStore.open_for_reading(tmp_path)
    marks: Marks = reader.marks
    with pytest.raises(StoreError, match="readonly"):
        marks.put(describe(observe(wild(1))).record, "attack")
    reader.close()
