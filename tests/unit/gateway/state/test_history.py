from __future__ import annotations

from pathlib import Path

import pytest

from gateway.state.sqlite import SqliteStore
from gateway.state.store import StoreError


def test_points_are_thinned_to_steps_and_begin_before_the_range(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path)
    for at_s in range(100, 160, 10):
        store.history.add(at_s, {"a": f"a{at_s}", "b": "-"}, oldest_s=0)
    assert store.history.points("a", 130, 20) == [(120, "a120"), (130, "a130"), (150, "a150")]
    assert store.history.points("a", 0, 1000) == [(150, "a150")]
    assert store.history.points("c", 0, 10) == []
    store.close()


def test_what_is_old_is_forgotten(tmp_path: Path) -> None:
    store = SqliteStore.open_for_writing(tmp_path)
    store.history.add(100, {"a": "old"}, oldest_s=0)
    store.history.add(200, {"a": "new"}, oldest_s=150)
    assert store.history.points("a", 0, 1) == [(200, "new")]
    store.close()


def test_a_store_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    reader = SqliteStore.open_for_reading(tmp_path)
    with pytest.raises(StoreError):
        reader.history.add(1, {"a": "x"}, oldest_s=0)
    reader.close()
