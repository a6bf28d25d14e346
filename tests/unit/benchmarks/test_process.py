from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.serving.process import Server, ServerFailed


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def within_5_s(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5.0
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_stopping_a_server_ends_all_its_processes(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "sleep 60 & sleep 60 & wait"], {}, tmp_path / "log")
    assert within_5_s(lambda: len(server.pids()) == 3)
    pids = server.pids()
    server.stop()
    assert within_5_s(lambda: not any(running(pid) for pid in pids))


def test_a_server_that_ended_says_what_it_printed_last(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "echo first; echo no model named $NAME; exit 3"], {"NAME": "clf"}, tmp_path / "log")
    server.process.wait(10)
    with pytest.raises(ServerFailed, match=r"status 3: first\nno model named clf"):
        server.check()
    server.stop()
