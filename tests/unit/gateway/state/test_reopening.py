from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.state.reopening import Reopening


@dataclass
class Connection:
    fails: bool = False
    closed: bool = False

    def close(self) -> None:
        self.closed = True
        if self.fails:
            raise OSError("gone")


def test_it_is_opened_once_and_again_after_it_was_closed() -> None:
    opened: list[Connection] = []

    def make() -> Connection:
        opened.append(Connection(fails=True))
        return opened[-1]

    store = Reopening(make)
    store.close()
    assert opened == []
    assert store.get() is store.get() is opened[0]
    store.close()
    assert opened[0].closed
    assert store.get() is opened[1]


def test_what_opening_it_raises_comes_out_and_the_next_may_find_it() -> None:
    in_reach = False

    def make() -> Connection:
        if not in_reach:
            raise OSError("not yet")
        return Connection()

    store = Reopening(make)
    with pytest.raises(OSError, match="not yet"):
        store.get()
    in_reach = True
    assert not store.get().closed
