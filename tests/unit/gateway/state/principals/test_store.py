"""What every store of principals must do, in a file and in Redis."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.state.principals import file, redis
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.measures import Asking
from gateway.state.principals.redis import RedisPrincipals
from gateway.state.principals.store import Mark, PrincipalStore
from tests.redisserver import RedisServer, needs_redis

Open = Callable[[], PrincipalStore]
NOW, HOUR = 1_800_000_000_000_000_000, 3_600_000_000_000


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs_redis), pytest.param("cluster", marks=needs_redis)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    made: list[PrincipalStore] = []
    prefix = uuid.uuid4().hex

    def one() -> PrincipalStore:
        if request.param == "sqlite":
            made.append(PrincipalFile.open(tmp_path))
        else:
            server = request.getfixturevalue("redis_cluster" if request.param == "cluster" else "redis_server")
            made.append(RedisPrincipals.open(server.url, prefix, cluster=request.param == "cluster"))
        return made[-1]

    yield one
    for each in made:
        each.close()


def mark(principal: str = "a", alike: int = 2, since: int = NOW, until: int = NOW + HOUR, endpoint: str = "m") -> Mark:
    return Mark(principal, endpoint, "3 queries were alike: \u00e9", alike, since, until)


def test_marks_add_up_and_keep_their_first_reason(opened: Open) -> None:
    one, other = opened(), opened()
    one.add({"a": mark()}, {}, NOW)
    other.add({"a": mark(alike=3, since=NOW + 5000, until=NOW + HOUR + 1000, endpoint="other")}, {}, NOW)
    other.add({"a": mark(alike=1, until=NOW + 1000)}, {}, NOW)
    assert one.marks(NOW) == {"a": mark(alike=6, until=NOW + HOUR + 1000)}
    assert one.marks(NOW + HOUR + 1000) == {}


def test_a_mark_that_has_ended_begins_anew(opened: Open) -> None:
    store = opened()
    store.add({"a": mark(alike=9), "b": mark("b", until=NOW + 3 * HOUR)}, {}, NOW)
    again = mark(alike=1, since=NOW + 2 * HOUR, until=NOW + 3 * HOUR)
    store.add({"a": again}, {}, NOW + 2 * HOUR)
    assert store.marks(NOW + 2 * HOUR) == {"a": again, "b": mark("b", until=NOW + 3 * HOUR)}


def test_queries_add_up_the_latest_to_ask_first(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.queries() == {}
    one.add({}, {"a": 3, "b": 1}, NOW)
    other.add({}, {"a": 4, "c": 2}, NOW + 1000)
    assert list(one.queries().items()) == [("a", 7), ("c", 2), ("b", 1)]


def test_a_lifted_mark_is_gone(opened: Open) -> None:
    one, other = opened(), opened()
    one.add({"a": mark()}, {}, NOW)
    assert other.lift("a")
    assert not one.lift("a")
    assert one.marks(NOW) == {}
    one.add({"a": mark(alike=1)}, {}, NOW)
    assert other.marks(NOW) == {"a": mark(alike=1)}


def test_a_change_by_another_is_seen(opened: Open) -> None:
    one, other = opened(), opened()
    before = one.changes
    assert one.changes == before
    other.add({"a": mark()}, {}, NOW)
    marked = one.changes
    assert marked != before
    other.lift("a")
    assert one.changes != marked


def test_many_are_measured(opened: Open) -> None:
    store = opened()
    asking = {f"{n:03d}": Asking(n, n, n // 2, set(range(n % 7))) for n in range(450)}
    store.measure("m", "v", 8, asking, NOW)
    found = {each.principal: (each.rows, each.near, each.cells[0].bit_count()) for each in store.measures()}
    assert found == {name: (each.rows, each.near, len(each.cells)) for name, each in asking.items()}


def test_what_others_asked_is_learned_once(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.shared("one", 0) == []
    one.share("one", [("m", b"\x00 1"), ("m", b"2")], NOW)
    other.share("other", [("m", b"3"), ("n", b"4")], NOW)
    assert [(key, packed) for _, key, packed in one.shared("one", 0)] == [("m", b"3"), ("n", b"4")]
    told = other.shared("other", 0)
    assert [(key, packed) for _, key, packed in told] == [("m", b"\x00 1"), ("m", b"2")]
    last = told[-1][0]
    assert last > told[0][0]
    one.share("one", [("m", b"5")], NOW)
    assert [packed for _, _, packed in other.shared("other", last)] == [b"5"]
    third = opened()
    assert [packed for _, _, packed in third.shared("third", 0)] == [b"\x00 1", b"2", b"3", b"4", b"5"]


def test_much_that_was_asked_is_learned_whole(opened: Open) -> None:
    one, other = opened(), opened()
    one.share("one", [("m", str(n).encode()) for n in range(2500)], NOW)
    assert [int(packed) for _, _, packed in other.shared("other", 0)] == list(range(2500))


def test_there_are_so_many(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (file, redis):
        monkeypatch.setattr(module, "_MOST", 5)
    store = opened()
    for n in range(12):
        name = f"{n:02d}"
        store.add({name: mark(name, until=NOW + HOUR + n * 1000)}, {name: 1}, NOW + n * 1000)
    assert list(store.queries()) == ["11", "10", "09", "08", "07"]
    assert sorted(store.marks(NOW)) == ["07", "08", "09", "10", "11"]


@needs_redis
def test_what_is_sent_again_is_not_added_again(redis_server: RedisServer) -> None:
    store = RedisPrincipals.open(redis_server.url, uuid.uuid4().hex)
    for sequence in (1, 1, 2, 1):
        store.add({"a": mark(alike=1)}, {"a": 10}, NOW, ("worker", sequence))
    store.add({"a": mark(alike=1)}, {"a": 10}, NOW, ("other", 1))
    assert store.queries() == {"a": 30}
    assert store.marks(NOW)["a"].alike == 3


@needs_redis
def test_what_is_old_is_not_told_to_a_new_worker(redis_server: RedisServer) -> None:
    prefix = uuid.uuid4().hex
    told = f"{{{prefix}}}:1:principals:told"
    redis_server.ask("XADD", told, "1000-0", "w", "one", "e", "m", "a", "old")
    store = RedisPrincipals.open(redis_server.url, prefix)
    assert store.shared("other", 0) == []
    store.share("one", [("m", b"new")], NOW)
    assert redis_server.ask("XLEN", told) == 1


def test_how_queries_are_spread_adds_up(opened: Open) -> None:
    one, other = opened(), opened()
    assert one.measures() == []
    one.measure("m", "v", 64, {"a": Asking(10, 8, 2, {0, 9}), "b:\u00e9": Asking(1, 1, 0, {63})}, NOW)
    later = NOW + 10 * 60 * 10**9
    other.measure("m", "v", 64, {"a": Asking(5, 5, 1, {9, 17})}, later)
    other.measure("n", "v", 64, {"a": Asking(1, 0, 0, set())}, NOW)
    found = {(each.endpoint, each.principal): each for each in one.measures()}
    a = found["m", "a"]
    assert (a.rows, a.looked, a.near, a.last_ns) == (15, 13, 3, later)
    assert a.cells == (1 | 1 << 9 | 1 << 17).to_bytes(8, "little")
    assert (a.near_boundary, a.coverage) == (3 / 13, 3 / 64)
    assert a.rows_per_minute(later) == pytest.approx((10 / math.e + 5) / 10, rel=1e-6)
    assert found["m", "b:\u00e9"].coverage == 1 / 64
    assert (found["n", "a"].near_boundary, found["n", "a"].coverage) == (None, 0.0)
    assert one.measures()[0] == a  # the latest to ask first


def test_another_bundle_has_other_cells(opened: Open) -> None:
    store = opened()
    store.measure("m", "v", 64, {"a": Asking(10, 8, 2, {0, 9})}, NOW)
    store.measure("m", "w", 128, {"a": Asking(1, 1, 0, {100})}, NOW + 1000)
    (found,) = store.measures()
    assert (found.bundle, found.rows, found.coverage) == ("w", 1, 1 / 128)


def test_only_so_many_are_measured(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (file, redis):
        monkeypatch.setattr(module, "_MOST", 5)
    store = opened()
    for n in range(9):
        store.measure("m", "v", 64, {str(n): Asking(1, 1, 0, {n})}, NOW + n * 1000)
    assert [each.principal for each in store.measures()] == ["8", "7", "6", "5", "4"]
