"""The `watchgate` command as a process of its own, in a folder with a `watchgate.yaml`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data import ROOT
from benchmarks.serving.process import ONE_THREAD, free_port

WATCHGATE = (sys.executable, "-m", "gateway.cli")
READY_S, STOP_S = 240.0, 60.0
ENVIRONMENT = {"BENTOML_DO_NOT_TRACK": "true", "PYTHONPATH": str(ROOT), "COLUMNS": "160"}


def ran(folder: Path, *words: str) -> str:
    """What a command printed.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run([*WATCHGATE, *words], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"watchgate {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@contextmanager
def running(folder: Path, *words: str, ready: Callable[[], bool]) -> Iterator[None]:
    """A command that goes on, ready, with one thread; what it prints goes to `log` in the folder. Ctrl-C ends it.

    Raises:
        SystemExit: it ended or did not get ready.
    """
    log = folder / "log"
    environment = {**os.environ, **ENVIRONMENT, **ONE_THREAD}
    with log.open("wb") as said:
        command = [*WATCHGATE, *words]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + READY_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(words)} did not get ready:\n{log.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_S)


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, str]]:
    """The endpoints and their console: the gateway's port and the console's address."""
    port, console_port = free_port(), free_port()
    console = f"http://127.0.0.1:{console_port}"
    words = ("serve", "--port", str(port), "--console-port", str(console_port))
    with running(folder, *words, ready=lambda: answers(f"http://127.0.0.1:{port}/v2/health/ready", f"{console}/")):
        yield port, console


def answers(*urls: str) -> bool:
    """Whether every address answers, and with no error."""
    try:
        for url in urls:
            urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
