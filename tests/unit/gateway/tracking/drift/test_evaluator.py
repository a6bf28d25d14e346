"""Evaluating drift: the same alarms whoever evaluates, however often it dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.state.shared.sqlite import SqliteShared
from gateway.state.shared.store import Flush, SharedStore
from gateway.state.store import StoreError
from gateway.tracking.drift.evaluator import LATENESS_S, LEASE_S, DriftEvaluator
from gateway.tracking.drift.report import DriftAlarm, DriftStatus, alarm_prefix, history_prefix, status_name
from gateway.tracking.drift.rows import Watched
from gateway.tracking.drift.state import unpack
from gateway.tracking.storeclock import StoreClock
from tests import drifting, watching

WATCHED = watching.watched()
START = int(watching.START_S)
EVERY = 10


class Listed:
    """An announcer."""

    def __init__(self) -> None:
        self.told: list[DriftAlarm] = []

    def announce(self, alarm: DriftAlarm) -> None:
        self.told.append(alarm)

    def stats(self) -> dict[str, int]:
        return {}

    def close(self, timeout_s: float = 5.0) -> None:
        pass


class Stream:
    """Rows that arrive, 60 in each bucket; those of a bucket may be shifted."""

    def __init__(self, store: SharedStore, watched: Watched = WATCHED) -> None:
        self._store = store
        self._watched = watched
        self._bucket = 0

    def add(self, buckets: int, shift: float = 0.0) -> None:
        for _ in range(buckets):
            sums = self._watched.monitor.encoder.sums(drifting.rows(60, 1000 + self._bucket, shift))
            place = (self._watched.key, START + EVERY * self._bucket)
            self._bucket += 1
            self._store.add(Flush("r", self._bucket, {place: sums.vector()}))


@pytest.fixture
def time() -> watching.Time:
    return watching.Time()


@pytest.fixture
def store(time: watching.Time, tmp_path: Path) -> Iterator[SqliteShared]:
    opened = time.store(tmp_path)
    yield opened
    opened.close()


def alarms(store: SharedStore) -> list[DriftAlarm]:
    return [msgspec.json.decode(value, type=DriftAlarm) for value in store.values(alarm_prefix("m")).values()]


def status(store: SharedStore, watched: Watched = WATCHED) -> DriftStatus | None:
    kept = store.load(status_name("m", watched.bundle))
    return None if kept is None else msgspec.json.decode(kept.value, type=DriftStatus)


def after(buckets: int) -> float:
    """When so many buckets are over, and the lateness that is allowed."""
    return watching.START_S + EVERY * buckets + LATENESS_S + 0.1


def expected(shifts: list[float]) -> list[tuple[str, int, bool]]:
    """Series, bucket and whether it began, of a stream whose buckets are shifted so."""
    state, found = WATCHED.monitor.start(), []
    for number, shift in enumerate(shifts):
        folded = WATCHED.monitor.fold(
            state, START + EVERY * number, WATCHED.monitor.encoder.sums(drifting.rows(60, 1000 + number, shift))
        )
        state = folded.state
        found += [(reading.series, state.bucket, True) for reading in folded.started]
        found += [(series, state.bucket, False) for series in folded.ended]
    return sorted(found)


def test_drift_is_said_once_with_a_status_a_history_and_an_end(time: watching.Time, store: SqliteShared) -> None:
    told = Listed()
    evaluator = DriftEvaluator([WATCHED], time.synced(), told)
    stream = Stream(store)
    stream.add(6)
    stream.add(4, shift=2.0)
    time.to(after(10))
    for _ in range(3):
        evaluator.exchange(store)
        time.move(1.0)
    found = status(store)
    assert found is not None
    assert (found.rows, found.drifted, found.late_rows) == (600, True, 0)
    assert [series.name for series in found.series if series.drifted] == ["a", "joint"]
    assert found.since_s == min(alarm.since_s for alarm in alarms(store))
    assert START <= found.since_s < START + 7 * EVERY
    stream.add(12)
    time.to(after(22))
    evaluator.exchange(store)
    found = status(store)
    assert found is not None
    assert (found.rows, found.drifted, found.since_s) == (22 * 60, False, None)
    shifts = [0.0] * 6 + [2.0] * 4 + [0.0] * 12
    assert sorted((a.series, a.bucket, a.started) for a in alarms(store)) == expected(shifts)
    assert sorted(told.told, key=str) == sorted(alarms(store), key=str)
    ends = [alarm for alarm in alarms(store) if not alarm.started]
    assert {alarm.since_s for alarm in ends} == {alarm.since_s for alarm in alarms(store) if alarm.started}
    history = store.values(history_prefix("m"))
    assert len(history) == 2
    assert msgspec.json.decode(list(history.values())[-1], type=DriftStatus) == found
    assert evaluator.stats() == {"drift_evaluations": 2, "drift_evaluation_failures": 0, "drift_alarms": 6}


def test_buckets_are_sealed_only_after_the_allowed_lateness(time: watching.Time, store: SqliteShared) -> None:
    evaluator = DriftEvaluator([WATCHED], time.synced())
    Stream(store).add(2)
    time.to(after(2) - 0.2)
    evaluator.exchange(store)
    first = status(store)
    assert first is not None
    assert first.rows == 60
    time.move(1.0)
    evaluator.exchange(store)
    second = status(store)
    assert second is not None
    assert second.rows == 120


def test_late_rows_are_counted_and_raise_no_alarm(time: watching.Time, store: SqliteShared) -> None:
    evaluator = DriftEvaluator([WATCHED], time.synced())
    stream = Stream(store)
    stream.add(6)
    time.to(after(6))
    evaluator.exchange(store)
    late = WATCHED.monitor.encoder.sums(drifting.rows(600, 5, shift=5.0)).vector()
    store.add(Flush("late", 1, {(WATCHED.key, START): late}))
    stream.add(1)
    time.to(after(7))
    evaluator.exchange(store)
    found = status(store)
    assert found is not None
    assert (found.rows, found.late_rows, found.drifted) == (420, 600, False)
    assert not alarms(store)


def test_no_rows_mean_no_status(time: watching.Time, store: SqliteShared) -> None:
    evaluator = DriftEvaluator([WATCHED], time.synced())
    for _ in range(50):
        evaluator.exchange(store)
        time.move(EVERY)
    assert status(store) is None
    assert not store.values("")


def test_after_an_outage_replicas_get_the_time_to_tell_what_they_kept(time: watching.Time, store: SqliteShared) -> None:
    clock = time.synced()
    evaluator = DriftEvaluator([WATCHED], clock)
    Stream(store).add(6)
    time.move(10 * EVERY)
    clock.lost()
    evaluator.exchange(store)
    assert status(store) is None
    clock.sync(lambda: time.now)
    time.move(LATENESS_S / 2)
    evaluator.exchange(store)
    assert status(store) is None
    time.move(LATENESS_S)
    evaluator.exchange(store)
    assert status(store) is not None


class Dying:
    """A store whose caller dies before so many calls of it have been made, or after the last one."""

    def __init__(self, store: SqliteShared, calls: int) -> None:
        self._store = store
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        act: Callable[..., Any] = getattr(self._store, name)

        def call(*args: Any) -> Any:
            self._calls -= 1
            if self._calls < 0:
                raise KeyboardInterrupt  # nothing in between may catch it
            return act(*args)

        return call


def test_an_evaluator_that_dies_anywhere_leaves_the_same_alarms(tmp_path: Path) -> None:
    shifts = [0.0] * 6 + [2.0] * 4 + [0.0] * 12
    wanted = expected(shifts)
    died, calls = True, 0
    while died:
        time, told = watching.Time(), Listed()
        store = time.store(tmp_path / str(calls))
        stream = Stream(store)
        for shift in shifts:
            stream.add(1, shift)
        time.to(after(len(shifts)))
        died = False
        try:
            DriftEvaluator([WATCHED], time.synced(), told).exchange(Dying(store, calls))
        except KeyboardInterrupt:
            died = True
        time.move(LEASE_S + 1.0)
        DriftEvaluator([WATCHED], time.synced(), told).exchange(store)
        assert sorted((a.series, a.bucket, a.started) for a in alarms(store)) == wanted
        assert len(told.told) == len(set(map(str, told.told))) == len(wanted)
        found = status(store)
        assert found is not None
        assert (found.rows, found.drifted) == (60 * len(shifts), False)
        assert unpack(store.load(WATCHED.state_name).value).bucket == START + EVERY * 21  # type: ignore[union-attr]
        store.close()
        calls += 1
    assert calls > 10


class Unleased:
    """A store that gives the lease to everybody, and lets another evaluator go first in the middle of an evaluation."""

    def __init__(self, store: SqliteShared, first: Callable[[], object]) -> None:
        self._store = store
        self._first: Callable[[], object] | None = first

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        return True

    def late_rows(self, key: str) -> int:
        first, self._first = self._first, None
        if first is not None:
            first()
        return self._store.late_rows(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_two_evaluators_at_once_leave_the_same_alarms(time: watching.Time, store: SqliteShared) -> None:
    shifts = [0.0] * 6 + [2.0] * 4 + [0.0] * 12
    stream, told = Stream(store), Listed()
    for shift in shifts:
        stream.add(1, shift)
    one, other = (DriftEvaluator([WATCHED], time.synced(), told) for _ in range(2))
    time.to(after(12))

    def ahead() -> None:
        time.to(after(22))
        other.exchange(Unleased(store, lambda: None))

    one.exchange(Unleased(store, ahead))
    one.exchange(Unleased(store, lambda: None))
    assert sorted((a.series, a.bucket, a.started) for a in alarms(store)) == expected(shifts)
    assert len(told.told) == len(alarms(store))
    found = status(store)
    assert found is not None
    assert found.rows == 60 * len(shifts)
    assert one.stats()["drift_evaluations"] + other.stats()["drift_evaluations"] == 1


def test_only_who_has_the_lease_evaluates_and_another_goes_on_when_it_leaves(
    time: watching.Time, store: SqliteShared
) -> None:
    one, other = (DriftEvaluator([WATCHED], time.synced()) for _ in range(2))
    stream = Stream(store)
    stream.add(10)

    def evaluate(buckets: int, *who: DriftEvaluator) -> list[int]:
        time.to(after(buckets))
        for each in who:
            each.exchange(store)
        return [each.stats()["drift_evaluations"] for each in (one, other)]

    assert evaluate(3, one, other) == [1, 0]
    assert evaluate(4, one, other) == [2, 0]
    store.lease(WATCHED.lease_name, one._holder, 3.0 * EVERY)
    assert evaluate(5, other) == [2, 0]
    one.leave(store)
    time.move(LEASE_S / 2.0)
    assert evaluate(6, other, one) == [2, 1]


def test_a_state_that_cannot_be_read_is_made_again(time: watching.Time, store: SqliteShared) -> None:
    stream, told = Stream(store), Listed()
    stream.add(6)
    stream.add(4, shift=2.0)
    time.to(after(10))
    DriftEvaluator([WATCHED], time.synced(), told).exchange(store)
    before = len(told.told)
    kept = store.load(WATCHED.state_name)
    assert kept is not None
    assert store.swap(WATCHED.state_name, kept.token, b"broken")
    stream.add(2, shift=2.0)
    time.to(after(12))
    DriftEvaluator([WATCHED], time.synced(), told).exchange(store)
    found = status(store)
    assert found is not None
    assert (found.rows, found.drifted) == (720, True)
    assert len(told.told) == before


def test_bundles_are_evaluated_apart(time: watching.Time, store: SqliteShared) -> None:
    later = watching.watched(bundle="v2")
    both = [WATCHED, later]
    Stream(store).add(6)
    sums = later.monitor.encoder.sums(drifting.rows(60, 1)).vector()
    store.add(Flush("other", 1, {(later.key, START): sums}))
    time.move(10 * EVERY)
    DriftEvaluator(both, time.synced()).exchange(store)
    found = [status(store, each) for each in both]
    assert [each.rows for each in found if each is not None] == [360, 60]


def test_one_endpoints_fault_is_not_the_others(time: watching.Time, store: SqliteShared) -> None:
    broken = watching.watched(bundle="broken")
    store.add(Flush("other", 1, {(broken.key, START): drifting.rows(3, 1).take(slice(0, 3)).logits.astype(int)[0]}))  # type: ignore[union-attr]
    Stream(store).add(6)
    time.move(10 * EVERY)
    evaluator = DriftEvaluator([broken, WATCHED], time.synced())
    for _ in range(3):
        evaluator.exchange(store)
    assert evaluator.stats()["drift_evaluation_failures"] == 1  # and tried again later
    assert status(store) is not None


def test_a_store_that_fails_is_told_to_who_asks(time: watching.Time, store: SqliteShared) -> None:
    class Gone:
        def lease(self, *_: object) -> bool:
            raise StoreError("gone")

    evaluator = DriftEvaluator([WATCHED], time.synced())
    with pytest.raises(StoreError):
        evaluator.exchange(Gone())  # type: ignore[arg-type] # all of a store that is asked for
    Stream(store).add(6)
    time.to(watching.START_S + LATENESS_S / 2.0)
    evaluator.exchange(Gone())  # type: ignore[arg-type] # not asked: others get the time to tell what they kept
    time.to(after(6))
    evaluator.exchange(store)
    assert status(store) is not None


def test_who_never_had_contact_evaluates_nothing(store: SqliteShared) -> None:
    Stream(store).add(6)
    DriftEvaluator([WATCHED], StoreClock()).exchange(store)
    assert status(store) is None
