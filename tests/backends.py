"""Programs that people send traces to, each in an environment of its own under .cache, started on a free port."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
INSTALL_S = 1200


def environment(package: str) -> Path:
    """The folder of programs of an environment with this package, of the versions in tests/pins; made where there is
    none. Skips the test where the registry can't be reached.
    """
    pins = ROOT / "tests" / "pins" / f"{package}.txt"
    folder = ROOT / ".cache" / f"{package}-venv"
    programs, done = folder / "bin", folder / ".pins"
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if done.is_file() and done.read_text() == digest:
        return programs
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(programs / "python"), "-m", "pip", "install", "-q", "-r", str(pins)],
    ):
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{package} takes longer than {INSTALL_S} s to install here")
        if ran.returncode:
            pytest.skip(f"{package} can't be installed: {ran.stderr.strip().splitlines()[-1]}")
    done.write_text(digest)
    return programs


@contextmanager
def running(command: list[str], url: str, folder: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """The program, from when `url` answers; it and all that it started are ended with the block."""
    log = folder / "backend.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while not answers(url):
            assert server.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield
    finally:
        end(server)


def end(server: subprocess.Popen[bytes]) -> None:
    """Ends a program and its children, which are a group of their own."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def post(url: str, document: Any) -> Any:
    """The answer's JSON."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
