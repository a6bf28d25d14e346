"""The thread that talks to the shared store, and the tracker's watchers: one's fault is not another's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import SharedStore
from gateway.state.store import StoreError
from gateway.tracking.exchange import Exchange
from gateway.tracking.seen import Seen
from gateway.tracking.tracker import PAUSE_S, Tracker
from tests import drifting, watching
from tests.unit.gateway.tracking.test_tracker import observation
from tests.waiting import until


class Partner:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.times = 0
        self.left = False

    def exchange(self, store: SharedStore) -> None:
        self.times += 1
        if self.fault is not None:
            raise self.fault

    def leave(self, store: SharedStore) -> None:
        self.left = True

    def stats(self) -> dict[str, int]:
        return {"times": self.times}


def test_one_partners_fault_is_not_anothers(tmp_path: Path) -> None:
    partners = [Partner(ValueError("wrong")), Partner()]
    exchange = Exchange(partners, lambda: SqliteShared.open(tmp_path), every_s=0.005)
    exchange.start()
    until(lambda: partners[1].times > 2)
    exchange.close(5.0)
    stats = exchange.stats()
    assert stats["failures"] >= 2
    assert (stats["store_failures"], stats["store_reached"]) == (0, 1)
    assert all(partner.left for partner in partners)


def test_a_store_out_of_reach_is_said_once_and_opened_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gone, opened, partner = True, 0, Partner()

    def open_store() -> SharedStore:
        nonlocal opened
        opened += 1
        if gone:
            raise StoreError("gone")
        return SqliteShared.open(tmp_path)

    exchange = Exchange([partner], open_store, every_s=0.005)
    with caplog.at_level(logging.WARNING, "watchgate.tracking"):
        exchange.start()
        until(lambda: exchange.stats()["store_failures"] > 2)
    assert len(caplog.records) == 1
    assert exchange.stats()["store_reached"] == 0
    assert exchange.clock.now() is None
    gone = False
    until(lambda: partner.times > 2)
    partner.fault = StoreError("gone again")
    until(lambda: exchange.stats()["store_reached"] == 0)
    assert exchange.clock.steady_s > 0  # it answers: one partner's trouble is not the others'
    before = opened
    partner.fault = None
    until(lambda: exchange.stats()["store_reached"] == 1 and opened >= before)
    exchange.close(5.0)
    assert exchange.stats()["times"] == partner.times


def test_a_partner_whose_business_the_store_refuses_keeps_no_other_from_it(tmp_path: Path) -> None:
    partners = [Partner(StoreError("too large")), Partner()]
    exchange = Exchange(partners, lambda: SqliteShared.open(tmp_path))
    assert [exchange.round() for _ in range(3)] == [False] * 3
    assert partners[1].times == 3
    assert exchange.stats()["store_failures"] == 3
    assert exchange.clock.steady_s > 0


class Watcher:
    endpoints = ("m",)

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.rows = 0

    def start(self) -> None:
        pass

    def take(self, seen: Sequence[Seen]) -> None:
        if self.fault is not None:
            raise self.fault
        self.rows += sum(map(len, seen))

    def turn(self, now: float) -> bool:
        if self.fault is not None:
            raise self.fault
        return False

    def close(self, deadline: float) -> None:
        if self.fault is not None:
            raise self.fault

    def stats(self) -> dict[str, int]:
        return {"seen_rows": self.rows}


def test_one_watchers_fault_is_not_anothers() -> None:
    watchers = [Watcher(ValueError("wrong")), Watcher()]
    tracker = Tracker(watchers)
    tracker.start()
    columns = drifting.rows(5, 0).columns
    assert columns is not None
    for row in columns:
        tracker.observe(observation(row[None]))
    tracker.observe(observation(columns, endpoint="other"))
    until(lambda: watchers[1].rows == 5)
    tracker.close()
    assert tracker.stats()["failures"] >= 3
    assert tracker.stats()["seen_rows"] == 5
    assert tracker.stats()["taken"] == 5


def test_the_thread_rests_no_longer_than_the_most_urgent_watcher_allows() -> None:
    class Urgent(Watcher):
        pause_s = 0.001

    assert Tracker([Watcher()])._pause_s == PAUSE_S
    assert Tracker([Watcher(), Urgent()])._pause_s == 0.001


def test_a_seen_request_has_its_rows() -> None:
    rows = drifting.rows(5, 0)
    found = watching.seen(rows)
    assert len(found) == 5
    assert found.x is rows.columns
