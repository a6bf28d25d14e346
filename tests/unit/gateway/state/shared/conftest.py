"""Every test of the shared store runs over each of its implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore

Open = Callable[[], SharedStore]


@pytest.fixture(params=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens one more connection to the same store."""
    made: list[SharedStore] = []

    def one() -> SharedStore:
        made.append(SqliteShared.open(tmp_path / "state"))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def store(opened: Open) -> SharedStore:
    return opened()
