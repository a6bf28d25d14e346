"""A Redis server of a test's own: on a free port of this machine, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.ports import free_port

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")


@dataclass
class RedisServer:
    """Can be stopped and started again; what it has taken is on disk before it answers."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        assert PROGRAM is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "logfile": str(self.folder / "log"),
        }
        stated = [word for key, value in settings.items() for word in (f"--{key}", value)]
        self.process = subprocess.Popen([PROGRAM, *stated, *self.options])
        ends = time.monotonic() + 20.0
        while not self.answers():
            assert time.monotonic() < ends, (self.folder / "log").read_text()
            time.sleep(0.01)

    def answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """As a power cut would, nearly: what was not on disk is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    def ask(self, *command: str | int) -> object:
        with redis.Redis(port=self.port) as client:
            found: object = client.execute_command(*command)
            return found


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
