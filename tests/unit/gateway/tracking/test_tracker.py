"""The intake, the turns, the tracker's thread and the secret."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detectors.queries.likeness import Likeness
from detectors.queries.memory import QueryMemory
from gateway.chain import Chain
from gateway.errors import OperatorError
from gateway.state.principals.file import PrincipalFile
from gateway.state.principals.store import Mark
from gateway.state.store import StoreError
from gateway.telemetry.observation import ChainInfo, Observation
from gateway.tracking.intake import Intake
from gateway.tracking.queries.config import QueriesConfig
from gateway.tracking.queries.secret import FILE, secret
from gateway.tracking.queries.sharing import Sharing, pack, unpack
from gateway.tracking.queries.turn import Turn
from gateway.tracking.queries.watcher import QueryWatcher
from gateway.tracking.tracker import BUSY_PAUSE_S, Tracker, rest_s
from gateway.verdict import Judged
from models.batch import Array, Batch, InputSpec
from tests.waiting import until

SPEC = InputSpec("table", np.dtype("float32"), (6,))
ROWS = np.random.default_rng(0).normal(size=(3000, 6)).astype(np.float32)
VERDICTS = Chain(None)._unjudged(1)  # type: ignore[arg-type]


def observation(x: Array, principal: str = "a", endpoint: str = "m") -> Observation:
    chain = ChainInfo(endpoint, "v", "enforce", 0.0, 0.0, ())
    return Observation("id", chain, 0, 0, principal, "", 200, Judged(Batch(x), VERDICTS, None))


@pytest.fixture(scope="module")
def likeness() -> Likeness:
    return Likeness.fit(ROWS, SPEC)


def tracker(likeness: Likeness, open_store: Callable[[], PrincipalFile], **stated: float) -> Tracker:
    return of(QueryWatcher({"m": QueryMemory(likeness, b"s")}, {"m": QueriesConfig.model_validate(stated)}, open_store))


def of(watcher: QueryWatcher) -> Tracker:
    return Tracker([watcher], watcher.marks)


def test_the_intake_is_bounded_in_requests_and_bytes_and_counts_what_it_drops() -> None:
    intake = Intake(items=3, nbytes=100)
    for _ in range(5):
        intake.observe(observation(ROWS[:1]))
    assert (intake.counts.taken, intake.counts.dropped) == (3, 2)
    assert len(intake.take(0.0)) == 3
    for _ in range(5):
        intake.observe(observation(ROWS[:2]))
    assert (intake.counts.taken, intake.counts.dropped) == (5, 5)


def test_observing_costs_less_than_two_microseconds() -> None:
    intake, seen = Intake(items=10_000), observation(ROWS[:1])
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(200):
            intake.observe(seen)
        best = min(best, (time.perf_counter() - started) / 200)
    assert best < 2e-6


def test_the_thread_rests_less_the_fewer_ask_so_that_a_lone_attacker_is_seen_soon() -> None:
    rests = [rest_s(0.005, taken, busy=False) for taken in range(10)]
    assert rests[1] == pytest.approx(0.001)
    assert rests == sorted(rests)
    assert rests[-1] == 0.005
    assert rest_s(0.005, 1, busy=True) == BUSY_PAUSE_S


def test_a_request_without_verdict_is_passed_over() -> None:
    intake = Intake()
    seen = observation(ROWS[:1])
    seen.judged = None
    intake.observe(seen)
    assert not intake.take(0.0)


def test_what_waits_at_the_end_is_looked_at_and_written(likeness: Likeness, tmp_path: Path) -> None:
    started = tracker(likeness, lambda: PrincipalFile.open(tmp_path))
    started.start()
    for row in ROWS[:50]:
        started.observe(observation(row[None], "a"))
    started.close()
    assert started.stats()["new_rows"] == 50
    store = PrincipalFile.open(tmp_path)
    assert store.queries() == {"a": 50}
    store.close()
    started.observe(observation(ROWS[:1]))
    assert started.stats()["taken"] == 50  # closed


def test_endpoints_without_memory_are_passed_over(likeness: Likeness, tmp_path: Path) -> None:
    made = tracker(likeness, lambda: PrincipalFile.open(tmp_path))
    made.observe(observation(ROWS[:1], endpoint="other"))
    assert made.stats()["taken"] == 0


def test_a_store_that_fails_stops_nothing_and_loses_nothing(likeness: Likeness, tmp_path: Path) -> None:
    working = threading.Event()

    def open_store() -> PrincipalFile:
        if not working.is_set():
            raise StoreError("gone")
        return PrincipalFile.open(tmp_path)

    started = tracker(likeness, open_store)
    started.start()
    noise = 0.001 * np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
    started.observe(observation(ROWS[:1] + noise))
    until(lambda: bool(started.marks.current))
    assert started.stats()["store_failures"] > 0
    working.set()
    store = PrincipalFile.open(tmp_path)
    until(lambda: bool(store.marks(time.time_ns())))
    assert store.marks(time.time_ns())["a"].alike == 5
    store.close()
    started.close()


def test_marks_end(likeness: Likeness, tmp_path: Path) -> None:
    started = tracker(likeness, lambda: PrincipalFile.open(tmp_path), mark_minutes=0.5 / 60)
    started.start()
    noise = 0.001 * np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
    started.observe(observation(ROWS[:1] + noise))
    until(lambda: bool(started.marks.current))
    until(lambda: not started.marks.current)
    started.close()


def test_rows_of_another_shape_are_counted_as_failures(likeness: Likeness, tmp_path: Path) -> None:
    started = tracker(likeness, lambda: PrincipalFile.open(tmp_path))
    started.start()
    started.observe(observation(ROWS[:1, :5]))
    started.observe(observation(ROWS[:1]))
    until(lambda: started.stats()["new_rows"] == 1)
    assert started.stats()["failures"] == 1
    started.close()


def test_beyond_the_rate_every_principal_gets_an_equal_share() -> None:
    turn = Turn({"m": 20.0})
    turn.add("m", "many", ROWS[:1000])
    for row in range(30):
        turn.add("m", "few", ROWS[row : row + 1])
    chunks, left_out = turn.chunks(0.0, 16)
    names = [name for _, chunk, _ in chunks for name in chunk]
    assert (names.count("few"), names.count("many"), left_out) == (30, 70, 930)
    assert max(len(x) for _, _, x in chunks) == 16
    turn.add("m", "many", ROWS[:1000])
    assert sum(len(x) for _, _, x in turn.chunks(0.5, 16)[0]) == 10  # half a second's


def test_rows_of_different_shapes_are_compared_apart() -> None:
    turn = Turn({"m": 100.0})
    turn.add("m", "a", ROWS[:2])
    turn.add("m", "b", ROWS[:3, :5])
    turn.add("m", "a", ROWS[2:4])
    found = [(names, x.shape) for _, names, x in turn.chunks(0.0, 16)[0]]
    assert sorted(found) == [(["a"] * 4, (4, 6)), (["b"] * 3, (3, 5))]


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    found = []
    threads = [threading.Thread(target=lambda: found.append(secret(folder))) for _ in range(4)]
    made = secret(folder)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {made}
    assert stat.S_IMODE(os.stat(folder / FILE).st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_a_broken_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(OperatorError, match="expected 32 bytes, found 5"):
        secret(tmp_path)


def test_marks_add_up_over_workers_and_begin_anew_after_their_end(tmp_path: Path) -> None:
    one, other = PrincipalFile.open(tmp_path), PrincipalFile.open(tmp_path)
    one.add({"a": Mark("a", "m", "first", 2, 10, 100)}, {"a": 5}, 10)
    other.add({"a": Mark("a", "m", "second", 3, 20, 120)}, {"a": 1, "b": 2}, 20)
    assert one.marks(50) == {"a": Mark("a", "m", "first", 5, 10, 120)}
    assert one.queries() == {"a": 6, "b": 2}
    assert one.marks(120) == {}
    other.add({"a": Mark("a", "m", "third", 1, 200, 300)}, {}, 200)
    assert one.marks(250) == {"a": Mark("a", "m", "third", 1, 200, 300)}
    for store in (one, other):
        store.close()


def test_another_database_is_refused(tmp_path: Path) -> None:
    import sqlite3

    db = sqlite3.connect(tmp_path / "principals.db")
    db.execute("CREATE TABLE other (x)")
    db.close()
    with pytest.raises(OperatorError, match="found another SQLite database"):
        PrincipalFile.open(tmp_path)


def remembered(memory: QueryMemory) -> int:
    return sum(len(caller.ring) for caller in list(memory._callers.values()))


def test_workers_tell_each_other_what_was_asked(likeness: Likeness, tmp_path: Path) -> None:
    memories = [QueryMemory(likeness, b"s", told=True) for _ in range(2)]
    settings = {"m": QueriesConfig()}
    both = [
        of(QueryWatcher({"m": memory}, settings, lambda: PrincipalFile.open(tmp_path), sharing=sharing))
        for memory, sharing in zip(memories, [Sharing({"m 1": memory}) for memory in memories], strict=True)
    ]
    for each in both:
        each.start()
    noise = 0.001 * np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    for row, x in enumerate(ROWS[:1] + noise):
        both[row % 2].observe(observation(x[None]))
        until(lambda row=row: both[row % 2].stats()["new_rows"] == row // 2 + 1)  # type: ignore[misc]
        until(lambda row=row: [remembered(each) for each in memories] == [row + 1] * 2)  # type: ignore[misc]
    until(lambda: all(each.marks.current.keys() == {"a"} for each in both))
    assert [each.stats()["alike_rows"] for each in both] == [0, 1]
    for each in both:
        each.close()


def test_a_row_resent_to_another_worker_counts_for_nothing(likeness: Likeness, tmp_path: Path) -> None:
    one, other = (QueryMemory(likeness, b"s", told=True) for _ in range(2))
    store = PrincipalFile.open(tmp_path)
    sharings = [Sharing({"m": memory}) for memory in (one, other)]
    for _ in range(6):
        for memory in (one, other):
            assert not memory.ask(["a"], ROWS[:1], 0.0)["a"].alike
        for sharing in sharings:
            sharing.exchange(store, 0.0)
    store.close()


def test_memories_that_share_find_what_one_would(likeness: Likeness) -> None:
    noise = 0.3 * np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    x = np.concatenate([ROWS[:1] + noise, ROWS[100:130]])[np.random.default_rng(2).permutation(60)]
    alone = QueryMemory(likeness, b"s", hashed=False)
    expected = [alone.ask(["a"], row[None], 0.0)["a"].alike for row in x]
    pair = [QueryMemory(likeness, b"s", hashed=False, told=True) for _ in range(2)]
    found = []
    for number, row in enumerate(x):
        here, there = pair[number % 2], pair[1 - number % 2]
        found.append(here.ask(["a"], row[None], 0.0)["a"].alike)
        for asked in here.fresh():
            there.learn(unpack(pack(asked)), 0.0)
    assert found == expected
    assert any(found)


def test_the_store_keeps_the_latest_of_very_many_principals(tmp_path: Path) -> None:
    store = PrincipalFile.open(tmp_path)
    names = [f"p{number}" for number in range(10_050)]
    marks = {name: Mark(name, "m", "why", 1, 0, 10**9 + number) for number, name in enumerate(names)}
    store.add(marks, dict.fromkeys(names, 1), 10)
    store.add({}, {"late": 1}, 20)
    assert len(store.queries()) == 10_000
    assert "late" in store.queries()
    found = store.marks(10)
    assert len(found) == 10_000
    assert names[-1] in found
    assert names[0] not in found
    store.close()


def test_a_turn_that_fails_does_not_end_the_tracker(likeness: Likeness, tmp_path: Path) -> None:
    attempts = iter([OSError("no such device")])

    def open_store() -> PrincipalFile:
        for exc in attempts:
            raise exc
        return PrincipalFile.open(tmp_path)

    started = tracker(likeness, open_store)
    with pytest.raises(OSError, match="no such device"):
        started.start()  # before serving it is told
    attempts = iter([OSError("no such device")])
    started.close()
    watcher = QueryWatcher({"m": QueryMemory(likeness, b"s")}, {"m": QueriesConfig()}, open_store)
    started = of(watcher)
    attempts = iter([])
    started.start()
    attempts = iter([OSError("no such device")])
    watcher._store.close()
    started.observe(observation(ROWS[:1]))
    until(lambda: started.stats()["failures"] == 1)
    started.observe(observation(ROWS[1:2]))
    until(lambda: started.stats()["new_rows"] == 2)
    started.close()
