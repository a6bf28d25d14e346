from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.state.record import Entry
from gateway.state.sqlite import SqliteStore
from gateway.state.store import EVERYTHING, Filter
from gateway.telemetry.describe import describe
from tests.traffic import failed, observe, odd, typical, wild


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open_for_writing(tmp_path)
    yield store
    store.close()


@pytest.fixture
def entries(store: SqliteStore) -> list[Entry]:
    """Oldest first."""
    seen = [
        observe(wild(1), principal="a"),
        observe(odd(1), principal="b"),
        observe(wild(1), principal="b"),
        failed(principal="a"),
        observe(typical(1), principal="a"),
    ]
    entries = [describe(one) for one in seen]
    store.write(entries)
    return entries


def test_ids_are_those_of_the_traces_that_are_found(store: SqliteStore, entries: list[Entry]) -> None:
    for wanted in (EVERYTHING, Filter(principal="a"), Filter(verdicts=("reject",)), Filter(begins="zz")):
        found = [trace.record.id for trace in store.find(wanted)]
        assert store.lists.ids(wanted, 50) == found
        assert store.lists.ids(wanted, 1) == found[:1]
        assert store.lists.ids(wanted, 50, after=entries[2].record.id) == [
            name for name in found if name in {entry.record.id for entry in entries[:2]}
        ]
    with pytest.raises(LookupError, match="evicted"):
        store.lists.ids(EVERYTHING, 5, after="0" * 32)


def test_traces_come_by_id(store: SqliteStore, entries: list[Entry]) -> None:
    wanted = [entries[0].record.id, entries[3].record.id, "f" * 32]
    found = store.lists.traces(wanted)
    assert found == {name: store.get(name) for name in wanted[:2]}


def test_requests_of_a_principal_or_an_input_are_together(store: SqliteStore, entries: list[Entry]) -> None:
    stopped = Filter(verdicts=("flag", "reject", "error"))
    first, second = store.lists.groups(stopped, "principal", 10)
    assert (first.key, first.count, first.verdicts) == ("a", 2, {"flag": 0, "reject": 1, "error": 1})
    assert (second.key, second.count, second.verdicts) == ("b", 2, {"flag": 1, "reject": 1, "error": 0})
    assert (first.newest, second.newest) == (entries[3].record.id, entries[2].record.id)
    assert first.first_ns == entries[0].record.started_ns
    assert first.last_ns == entries[3].record.started_ns
    same_input, other = store.lists.groups(stopped, "digest", 10)
    assert (same_input.key, same_input.count) == (entries[0].record.digest, 2)  # two principals, one input
    assert other.count == 1  # a failure has no digest
    assert [group.key for group in store.lists.groups(stopped, "principal", 1)] == ["a"]


def test_callers_are_counted_by_verdict(store: SqliteStore, entries: list[Entry]) -> None:
    found = store.lists.callers(0)
    assert list(found) == ["b", "a"]  # of b two were stopped
    assert found["a"].verdicts == {"allow": 1, "flag": 0, "reject": 1, "error": 1}
    assert found["b"].count("flag") == 1
    assert found["b"].count("allow") == 0
    assert store.lists.callers(time.time_ns() + 10**9) == {}
    assert list(store.lists.callers(0, most=1)) == ["b"]
    assert list(store.lists.callers(0, containing="A")) == ["a"]
    assert list(store.lists.callers(0, names=["a", "nobody"])) == ["a"]
    assert store.lists.callers(0, names=[]) == {}


def test_who_is_most_frequent(store: SqliteStore, entries: list[Entry]) -> None:
    rejected = Filter(verdicts=("reject",))
    assert store.lists.tops(rejected, "principal", 5) == (("a", 1), ("b", 1))
    assert store.lists.tops(EVERYTHING, "principal", 1) == (("a", 3),)
    assert store.lists.tops(EVERYTHING, "stage", 5) == (("brightness", 3), ("", 1), ("broken", 1))
    assert store.lists.tops(EVERYTHING, "principal", 5, newest=1) == (("a", 1),)


def test_the_stamp_tells_of_every_change(store: SqliteStore, entries: list[Entry], tmp_path: Path) -> None:
    before = store.lists.stamp
    assert store.lists.stamp == before
    store.marks.put(entries[0].record, "attack")
    own = store.lists.stamp
    assert own != before
    other = SqliteStore.open_for_writing(tmp_path)
    other.write([describe(observe(np.concatenate([wild(1), odd(1)])))])
    other.close()
    assert store.lists.stamp != own
