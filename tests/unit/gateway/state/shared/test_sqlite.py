from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.state.shared import bounds
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush
from gateway.state.store import StoreError


class Clock:
    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def one(*values: int) -> dict[tuple[str, int], np.ndarray]:  # type: ignore[type-arg]
    return {("m", 3): np.array(values, dtype=np.int64)}


def test_a_clock_set_back_leaves_windows_sane(tmp_path: Path) -> None:
    clock = Clock()
    first, second = (SqliteShared.open(tmp_path, clock=clock) for _ in range(2))
    told = [first.now()]
    clock.at -= 86_400.0
    for _ in range(100):
        clock.at += 1.0
        told += [first.now(), second.now()]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(told[0] + 50.0, abs=1.0)
    assert first.lease("drift", "a", 20.0)
    clock.at += 30.0
    assert not second.lease("drift", "b", 20.0)
    clock.at += 30.0
    assert second.lease("drift", "b", 20.0)
    for each in (first, second):
        each.close()
    again = SqliteShared.open(tmp_path, clock=clock)
    assert again.now() >= told[-1]
    again.close()


def test_what_nobody_needs_is_dropped(tmp_path: Path) -> None:
    clock = Clock()
    store = SqliteShared.open(tmp_path, clock=clock)
    store.add(Flush("old", 1, one(1)))
    store.swap("state", 0, b"")
    store.lease("drift", "a", 1.0)
    clock.at += bounds.SUMS_S + 1
    store.add(Flush("new", 1, {("other", 1): np.array([1])}))
    assert _rows(tmp_path, "sums") == 1
    assert _rows(tmp_path, "replicas") == 1
    assert _rows(tmp_path, "leases") == 0
    clock.at += bounds.KEPT_S + 1
    store.add(Flush("new", 2, {("other", 1): np.array([1])}))
    assert _rows(tmp_path, "kept") == 0
    assert _rows(tmp_path, "keys") == 1
    store.close()


def test_there_are_so_many_buckets_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BUCKETS", 5)
    monkeypatch.setattr(bounds, "VALUES", 3)
    clock = Clock()
    store = SqliteShared.open(tmp_path, clock=clock)
    for n in range(20):
        clock.at += bounds.TIDY_S
        store.add(Flush("a", n + 1, {("m", n): np.array([1])}))
        store.put_once(f"v{n:02d}", b"", 1e6)
    store.seal("m", 20)
    assert [bucket for bucket, _ in store.sealed("m", -1)] == list(range(15, 20))
    clock.at += bounds.TIDY_S
    store.put_once("v20", b"", 1e6)
    assert list(store.values("v")) == ["v18", "v19", "v20"]
    store.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "shared.db")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(OperatorError, match="found another SQLite database"):
        SqliteShared.open(tmp_path)


def test_a_later_releases_file_is_left_alone(tmp_path: Path) -> None:
    SqliteShared.open(tmp_path).close()
    db = sqlite3.connect(tmp_path / "shared.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(OperatorError, match="found 99: a later watchgate's"):
        SqliteShared.open(tmp_path)


def test_a_missing_file_is_not_made_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="found no file"):
        SqliteShared.open(tmp_path / "state", make=False)
    assert not (tmp_path / "state").exists()


def test_a_file_that_fails_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        SqliteShared.open(tmp_path / "file")
    (tmp_path / "shared.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteShared.open(tmp_path)


def _rows(folder: Path, table: str) -> int:
    db = sqlite3.connect(folder / "shared.db")
    try:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        db.close()
