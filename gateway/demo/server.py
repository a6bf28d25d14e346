"""The real server, started as anybody would: `watchgate serve` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.client import Client
from gateway.errors import OperatorError

READY_S = 120.0
STOP_S = 40.0
HOST = "127.0.0.1"


@contextmanager
def serving(config: Path, port: int, log: Path, console_port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """The server, ready, with a console unless its port is 0; stopped as Ctrl-C would at the end.

    Raises:
        OperatorError: it ended or did not get ready; the text says where its log is.
    """
    command = [sys.executable, "-m", "gateway.cli", "serve", str(config), "--host", HOST, "--port", str(port)]
    command += ["--console-port", str(console_port)]
    with log.open("wb") as file:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops the server in order.
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(server, port, log)
        yield server
    finally:
        _stop(server)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    client = Client(HOST, port)
    try:
        for _ in range(int(READY_S)):
            if client.wait_until_ready(1.0):
                return
            if server.poll() is not None:
                break
    finally:
        client.close()
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise OperatorError(f"the server did not get ready; its log, {log}, ends with: {last[0].strip()}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        if server.poll() is not None:
            return
        if number == signal.SIGINT:
            server.send_signal(number)
        else:  # workers and all
            os.killpg(server.pid, number)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
