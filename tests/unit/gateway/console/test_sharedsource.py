from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.configfile import read
from gateway.console.sharedsource import SharedSource
from gateway.state.shared.sqlite import SqliteShared
from gateway.state.store import StoreError


@pytest.fixture
def source(folder: Path) -> Iterator[SharedSource]:
    source = SharedSource(read(folder / "watchgate.yaml"))
    yield source
    source.close()


def put(folder: Path, value: bytes) -> None:
    store = SqliteShared.open(folder / "state")
    assert store.swap("name", 0, value)
    store.close()


def kept(source: SharedSource) -> bytes | None:
    with source.use() as store:
        found = None if store is None else store.load("name")
        return None if found is None else found.value


def test_before_a_gateway_served_there_is_none(source: SharedSource, folder: Path) -> None:
    assert kept(source) is None
    assert not (folder / "state").exists()
    put(folder, b"first")
    assert kept(source) == b"first"


def test_one_connection_serves_all_threads(source: SharedSource, folder: Path) -> None:
    put(folder, b"first")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: kept(source), range(40))) == {b"first"}


def test_a_new_file_takes_the_place_of_the_old(source: SharedSource, folder: Path) -> None:
    put(folder, b"first")
    assert kept(source) == b"first"
    shutil.move(folder / "state", folder / "moved")
    assert kept(source) is None
    put(folder, b"second")
    assert kept(source) == b"second"


def test_after_a_failure_it_is_opened_anew(source: SharedSource, folder: Path) -> None:
    put(folder, b"first")
    with pytest.raises(StoreError), source.use() as before:
        raise StoreError("the disk is gone")
    with source.use() as after:
        assert after is not before
    assert kept(source) == b"first"
