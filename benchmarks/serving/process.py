"""A server as a child process: started, awaited, asked for its processes, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.data import ROOT

START_S = 90.0
STOP_S = 10.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ServerFailed(Exception):
    """A server ended or did not get ready; the text ends with the last lines it printed."""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server. Its output goes to `log`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.started = time.monotonic()
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD, "BENTOML_DO_NOT_TRACK": "true", **env},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raises ServerFailed where the server has ended or has had its time to start."""
        if self.process.poll() is not None:
            raise ServerFailed(f"ended with status {self.process.returncode}: {self.last_lines()}")
        if time.monotonic() - self.started > START_S:
            raise ServerFailed(f"not ready after {START_S:.0f} s: {self.last_lines()}")

    def pids(self) -> tuple[int, ...]:
        """The server's processes: the one started and all below it."""
        root = psutil.Process(self.process.pid)
        return (root.pid, *(child.pid for child in root.children(recursive=True)))

    def last_lines(self, count: int = 8) -> str:
        """What it printed last."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def stop(self) -> None:
        """Asks the server to end, then ends what is left of its session."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
