from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.metrics.drift import drift_numbers, drift_of
from gateway.metrics.meter import exposition, key
from gateway.metrics.tally import Tally, total
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.report import DriftStatus
from gateway.tracking.drift.standings import DriftStandings
from gateway.tracking.tracker import Tracker
from tests.drifted import SERIES, Evaluated
from tests.drifting import monitor


@pytest.fixture
def evaluated(tmp_path: Path) -> Evaluated:
    return Evaluated(tmp_path, monitor(), time.time() - 500.0)


@pytest.fixture
def drifted(evaluated: Evaluated) -> DriftStatus:
    evaluated.go_on(16)
    return evaluated.go_on(12, shift=1.0)


def test_every_series_has_its_numbers(drifted: DriftStatus) -> None:
    numbers = drift_numbers([drifted])
    a = next(one for one in drifted.series if one.name == "a")
    own = {"endpoint": "digits", "series": "a"}
    assert numbers[key("watchgate_drift_statistic", {**own, "kind": a.kind})] == a.statistic > a.threshold
    assert numbers[key("watchgate_drift_threshold", {**own, "kind": a.kind})] == a.threshold
    assert numbers[key("watchgate_drift_series_drifted", own)] == 1
    assert numbers[key("watchgate_drift_window_rows", own)] == a.rows
    assert numbers[key("watchgate_drift_drifted", {"endpoint": "digits"})] == 1
    assert numbers[key("watchgate_drift_late_rows_total", {"endpoint": "digits"})] == 0
    assert len(numbers) == 2 + 4 * len(SERIES)
    page = exposition(numbers).decode()
    for name in ("drifted", "late_rows_total", "statistic", "threshold", "series_drifted", "window_rows"):
        assert f"\nwatchgate_drift_{name}{{" in page


def test_workers_say_the_same_and_are_not_added_up(tmp_path: Path, drifted: DriftStatus) -> None:
    numbers = drift_numbers([drifted])
    workers = [Tally(tmp_path / "metrics") for _ in range(3)]
    for worker in workers:
        worker.write(numbers)
    assert total(tmp_path / "metrics") == numbers
    for worker in workers:
        worker.close()
    assert total(tmp_path / "metrics") == {}


def test_late_rows_start_anew_with_a_new_worker(tmp_path: Path) -> None:
    late = key("watchgate_drift_late_rows_total", {"endpoint": "digits"})
    before = Tally(tmp_path)
    before.write({late: 70})
    before.close()
    after = Tally(tmp_path)
    after.write({late: 3})
    assert total(tmp_path) == {late: 3}
    after.close()


def test_standings_are_read_now_and_then(evaluated: Evaluated, drifted: DriftStatus) -> None:
    now_s = 0.0
    standings = DriftStandings([evaluated.watched], every_s=2.0, clock=lambda: now_s)
    store = SqliteShared.open(evaluated.state)
    assert standings.current == {}
    standings.exchange(store)
    assert standings.current == {"digits": drifted}
    latest = evaluated.go_on(1)
    standings.exchange(store)
    assert standings.current == {"digits": drifted}
    now_s = 2.5
    standings.exchange(store)
    assert standings.current == {"digits": latest}
    assert drift_of(Tracker([], standings=standings)) == drift_numbers([latest])
    standings.leave(store)
    assert standings.stats() == {}
    store.close()


def test_an_endpoint_that_was_never_evaluated_has_no_numbers(evaluated: Evaluated) -> None:
    standings = DriftStandings([evaluated.watched])
    store = SqliteShared.open(evaluated.state)
    standings.exchange(store)
    store.close()
    assert drift_of(Tracker([], standings=standings)) == {}
    assert drift_of(None) == {}
