"""What other processes do to the trace store: write at the same time, die without warning."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from gateway.state.sqlite import FILE, SqliteStore
from gateway.state.store import EVERYTHING

LOST_S = 1.0  # what the recorder may lose

ENDLESS = """
import sys, time
from pathlib import Path
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.recorder import SideRecorder
from tests.traffic import info, observe, odd, typical, wild
folder = Path(sys.argv[1])
side = SideRecorder(lambda: SqliteStore.open_for_writing(folder), [info()], sample_clean=0.5)
pause = float(sys.argv[2])
number = 0
while True:
    number += 1
    seen = observe((wild, odd, typical)[number % 3](1), principal=f"192.0.2.{number % 5}")
    if side.has_room(seen.principal) and side.offer(seen) and number % 3 != 2:
        print(seen.id, time.time(), flush=True)  # answered
    time.sleep(pause)
"""

WRITER = """
import sys, time
from pathlib import Path
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Quota
from gateway.telemetry.recorder import SideRecorder
from tests.traffic import info, observe, wild
folder, principal = Path(sys.argv[1]), sys.argv[2]
side = SideRecorder(lambda: SqliteStore.open_for_writing(folder, Quota(max_requests=10_000)), [info()])
for _ in range(300):
    seen = observe(wild(1), principal=principal)
    while not side.has_room(principal):
        time.sleep(0.01)
    assert side.offer(seen)
    print(seen.id)
side.close(timeout_s=60.0)
assert side.stats()["stored"] == 300, side.stats()
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed_after(folder: Path, seconds: float, pause: float) -> tuple[float, list[tuple[str, float]]]:
    """When a writing process was killed, and what it had answered by then: id and time."""
    writer = start(ENDLESS, str(folder), str(pause))
    assert writer.stdout is not None
    assert writer.stderr is not None
    first = writer.stdout.readline()
    assert first, writer.stderr.read()
    timer = time.monotonic() + seconds
    lines = [first]
    while time.monotonic() < timer:
        lines.append(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    moment = time.time()
    lines += writer.stdout.readlines()
    assert writer.wait(10.0) == -signal.SIGKILL
    writer.stdout.close()
    writer.stderr.close()
    answered = [line.split() for line in lines if line.endswith("\n")]
    return moment, [(trace_id, float(at)) for trace_id, at in answered]


def check(folder: Path, moment: float, answered: list[tuple[str, float]]) -> None:
    store = SqliteStore.open_for_writing(folder)
    kept = {trace.record.id for trace in store.walk(EVERYTHING)}
    store.close()
    due = {trace_id for trace_id, at in answered if at < moment - LOST_S}
    assert due, "nothing was answered early enough to be due"
    assert due <= kept
    db = sqlite3.connect(folder / FILE)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_kill_9_loses_at_most_the_last_second(tmp_path: Path) -> None:
    moment, answered = killed_after(tmp_path, 3.0, 0.002)
    check(tmp_path, moment, answered)


def test_kill_9_of_a_flooded_process_loses_no_more(tmp_path: Path) -> None:
    moment, answered = killed_after(tmp_path, 4.0, 0.0)
    check(tmp_path, moment, answered)


def test_a_killed_writer_leaves_a_store_that_others_go_on_writing(tmp_path: Path) -> None:
    for _ in range(2):
        moment, answered = killed_after(tmp_path, 1.5, 0.002)
        check(tmp_path, moment, answered)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """They even make the store at the same time."""
    writers = [start(WRITER, str(tmp_path), principal) for principal in ("192.0.2.1", "192.0.2.2")]
    offered: set[str] = set()
    for writer in writers:
        out, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err
        offered |= set(out.split())
    store = SqliteStore.open_for_reading(tmp_path)
    assert {trace.record.id for trace in store.walk()} == offered
    assert len(offered) == 600
    store.close()
