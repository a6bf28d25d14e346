from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gateway.config import Config
from gateway.errors import OperatorError
from gateway.state.record import Entry
from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import DEFAULT_QUOTA, Filter, StateStore
from gateway.telemetry.recorder import SideRecorder, open_recorder
from tests.traffic import failed, info, observe, odd, typical, wild


def recorder(folder: Path, sample_clean: float = 0.0, *, payloads: bool = True) -> SideRecorder:
    return SideRecorder(
        lambda: SqliteStore.open_for_writing(folder), [info()], sample_clean=sample_clean, payloads=payloads
    )


def stored(folder: Path, wanted: Filter | None = None) -> list[str]:
    store = SqliteStore.open_for_reading(folder)
    found = [trace.record.id for trace in store.walk(wanted or Filter())]
    store.close()
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_every_verdict_is_kept_and_clean_ones_are_not(tmp_path: Path) -> None:
    side = recorder(tmp_path)
    kept = [observe(wild(1)), observe(odd(1)), observe(wild(1), shadow=True), failed()]
    kept.append(observe(np.concatenate([typical(3), odd(1)])))
    for seen in (*kept, *(observe(typical(2)) for _ in range(20))):
        assert side.offer(seen)
    side.close()
    assert sorted(stored(tmp_path)) == sorted(seen.id for seen in kept)
    assert side.stats()["taken_verdicts"] == side.stats()["stored"] == 5


def test_it_is_written_without_being_closed(tmp_path: Path) -> None:
    side = recorder(tmp_path)
    SqliteStore.open_for_writing(tmp_path).close()
    start = time.monotonic()
    side.offer(observe(wild(1)))
    wait_for(lambda: len(stored(tmp_path)) == 1)
    assert time.monotonic() - start < 5.0
    side.close()


def test_clean_requests_are_sampled_by_their_own_id(tmp_path: Path) -> None:
    side = recorder(tmp_path, sample_clean=0.25)
    seen = [observe(typical(1)) for _ in range(400)]
    for one in seen:
        assert side.offer(one)
    side.close()
    assert 50 <= len(stored(tmp_path, Filter(verdicts=("allow",)))) <= 150
    again = recorder(tmp_path / "again", sample_clean=0.25)
    for one in seen:
        again.offer(one)
    again.close()
    assert sorted(stored(tmp_path / "again")) == sorted(stored(tmp_path))


def test_all_clean_requests_can_be_kept(tmp_path: Path) -> None:
    side = recorder(tmp_path, sample_clean=1.0)
    for _ in range(30):
        assert side.offer(observe(typical(1)))
    side.close()
    assert len(stored(tmp_path)) == 30


def test_capture_off_keeps_records_only(tmp_path: Path) -> None:
    side = recorder(tmp_path, payloads=False)
    side.offer(observe(wild(1)))
    side.close()
    store = SqliteStore.open_for_reading(tmp_path)
    (trace,) = store.find()
    assert trace.payload == "off"
    assert store.arrays(trace.record.id) == {}
    store.close()


def test_nothing_is_taken_after_close(tmp_path: Path) -> None:
    side = recorder(tmp_path)
    side.close()
    assert not side.offer(observe(wild(1)))


class Outage:
    """A store that is out of order until it is repaired."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = True

    def open(self) -> StateStore:
        if self.broken:
            raise OSError("no space left on device")
        return SqliteStore.open_for_writing(self.folder)


def test_an_outage_is_waited_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(tmp_path)
    side = SideRecorder(outage.open, [info()], sample_clean=0.0)
    kept = [observe(wild(1)) for _ in range(10)]
    for seen in kept:
        assert side.offer(seen)
    wait_for(lambda: side.stats()["store_failures"] >= 2)
    assert side.has_room("192.0.2.7"), "a store never stops a request"
    outage.broken = False
    wait_for(lambda: side.stats()["stored"] == 10)
    side.close()
    assert sorted(stored(tmp_path)) == sorted(seen.id for seen in kept)
    assert side.stats()["store_lost"] == 0
    assert "no space left on device" in caplog.text


def test_a_locked_file_is_waited_out(tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path).close()
    lock = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    side = recorder(tmp_path)
    side.offer(observe(wild(1)))
    wait_for(lambda: side.stats()["store_failures"] >= 1)
    lock.execute("ROLLBACK")
    lock.close()
    wait_for(lambda: side.stats()["stored"] == 1)
    side.close()


def test_an_outage_that_lasts_is_counted_and_close_keeps_its_time(tmp_path: Path) -> None:
    side = SideRecorder(Outage(tmp_path).open, [info()], sample_clean=0.0)
    for _ in range(7):
        side.offer(observe(wild(1)))
    start = time.monotonic()
    side.close(timeout_s=0.5)
    assert time.monotonic() - start < 3.0
    wait_for(lambda: side.stats()["store_lost"] == 7)


class Picky(SqliteStore):
    """Can't take one request, for a reason of its own."""

    refused = ""

    def write(self, entries: Sequence[Entry]) -> None:
        if any(entry.record.id == Picky.refused for entry in entries):
            raise ValueError("cannot keep this one")
        super().write(entries)


def test_an_entry_that_cannot_be_stored_takes_no_other_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    side = SideRecorder(lambda: Picky(SqliteStore.open_for_writing(tmp_path)._db, DEFAULT_QUOTA), [info()])
    kept = [observe(wild(1)) for _ in range(5)]
    Picky.refused = kept[2].id
    with caplog.at_level(logging.CRITICAL):
        for seen in kept:
            side.offer(seen)
        side.close()
    assert sorted(stored(tmp_path)) == sorted(seen.id for seen in kept if seen.id != kept[2].id)
    assert (side.stats()["stored"], side.stats()["store_lost"]) == (4, 1)


def test_a_flooder_does_not_take_the_lane_from_others(tmp_path: Path) -> None:
    release = threading.Event()

    def slow() -> StateStore:
        release.wait(10.0)
        return SqliteStore.open_for_writing(tmp_path)

    side = SideRecorder(slow, [info()], sample_clean=0.0)
    flood = observe(wild(1), principal="flooder")
    side.offer(flood)
    time.sleep(0.5)  # the writer now waits in the store
    taken = sum(side.offer(flood) for _ in range(3000))
    assert taken < 3000
    assert not side.has_room("flooder")
    assert side.has_room("someone else")
    mine = observe(wild(1), principal="someone else")
    assert side.offer(mine)
    release.set()
    side.close(timeout_s=30.0)
    assert mine.id in stored(tmp_path)
    assert side.stats()["dropped_verdicts"] == 3000 - taken


FORKED = """
import os, sys
from pathlib import Path
from tests.traffic import observe, wild
from tests.unit.gateway.telemetry.test_recorder import recorder, wait_for, stored
folder = Path(sys.argv[1])
side = recorder(folder)
side.offer(observe(wild(1)))
wait_for(lambda: side.stats()["stored"] == 1)
child = os.fork()
if child == 0:
    assert side.stats()["stored"] == 0
    side.offer(observe(wild(1)))
    side.close()
    os._exit(0 if side.stats()["stored"] == 1 else 1)
side.offer(observe(wild(1)))
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
side.close()
print(status, len(stored(folder)))
"""


def test_a_forked_child_starts_its_own_thread(tmp_path: Path) -> None:
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)], env=environ, capture_output=True, timeout=60
    )
    assert done.stdout.split() == [b"0", b"3"], done.stderr.decode()


def test_what_must_be_kept_costs_microseconds(tmp_path: Path) -> None:
    side = recorder(tmp_path)
    clean, verdict = observe(typical(1)), observe(wild(1))
    side.offer(verdict)

    def cost_us(offered: int, action: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(offered):
                action()
            best = min(best, (time.perf_counter() - start) / offered * 1e6)
        return best

    assert cost_us(200, lambda: side.offer(clean)) < 10
    assert cost_us(20, lambda: side.offer(verdict)) < 50
    assert cost_us(200, lambda: side.has_room("192.0.2.7")) < 10
    side.close()


def config(folder: Path, **telemetry: object) -> Config:
    return Config.model_validate(
        {
            "endpoints": {"digits": {"model": {"kind": "onnx", "path": "m.onnx"}, "reference": "r.npz"}},
            "state": {"path": folder / "state", "capture": {"max_requests": 20, "principal_share": 0.5}},
            "telemetry": telemetry,
        }
    )


def test_the_config_says_where_and_how_much(tmp_path: Path) -> None:
    side = open_recorder(config(tmp_path, sample_clean=0.0), [info()])
    for _ in range(15):
        side.offer(observe(wild(1)))
    side.close()
    assert len(stored(tmp_path / "state")) == 10
    store = SqliteStore.open_for_reading(tmp_path / "state")
    facts = store.chain("digits", info().version)
    store.close()
    assert facts is not None
    assert facts["input"]["layout"] == "NCHW"


def test_a_state_folder_that_cannot_be_is_told_before_serving(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(OperatorError, match=r"state\.path: expected a folder the gateway can write"):
        open_recorder(config(tmp_path), [info()])


def test_a_later_releases_store_is_told_before_serving(tmp_path: Path) -> None:
    SqliteStore.open_for_writing(tmp_path / "state").close()
    db = sqlite3.connect(tmp_path / "state" / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(OperatorError, match="a later watchgate wrote it"):
        open_recorder(config(tmp_path), [info()])
