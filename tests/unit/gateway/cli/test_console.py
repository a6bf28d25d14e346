from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli import serve
from gateway.cli.serve import begin_console
from gateway.errors import OperatorError
from tests.command import WATCHGATE
from tests.ports import free_port

Run = Callable[..., tuple[int, str, str]]
CONFIG = "endpoints: {digits: {model: {kind: onnx, path: digits.onnx}, reference: train.npz}}\n"
ROOT = Path(serve.__file__).parents[2]
STARTER = """
import sys, time
from pathlib import Path
from gateway.cli.console import start_beside
start_beside(Path(sys.argv[1]), int(sys.argv[2]), "http://127.0.0.1:3000")
time.sleep(60)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "watchgate.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def answers(port: int, wanted: bool, within_s: float) -> bool:
    """Whether the console comes (or goes) in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=2) as page:
                there = page.status == 200
        except urllib.error.HTTPError:
            there = True
        except OSError:
            there = False
        if there == wanted:
            return True
        time.sleep(0.1)
    return False


def test_a_port_in_use_is_one_line(run: Run, config: Path, busy: int) -> None:
    status, _, error = run("console", "--config", config, "--port", busy)
    assert status == 2
    assert error == f"watchgate: can't listen on 127.0.0.1:{busy}: Address already in use; choose another --port\n"


def test_serving_goes_on_without_a_console_unless_its_port_was_asked_for(
    config: Path, busy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PORT", busy)
    said = begin_console(config, None, "http://127.0.0.1:3000")
    assert (
        said == f"no console: can't listen on 127.0.0.1:{busy}: Address already in use; choose another --console-port"
    )
    with pytest.raises(OperatorError, match="choose another --console-port"):
        begin_console(config, busy, "http://127.0.0.1:3000")
    assert begin_console(config, 0, "http://127.0.0.1:3000") == "no console"


def test_it_ends_with_the_server_that_started_it(config: Path) -> None:
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", STARTER, str(config), str(port)], cwd=ROOT)
    try:
        assert answers(port, True, within_s=30)
    finally:
        server.kill()
        server.wait()
    assert answers(port, False, within_s=10)


@pytest.mark.slow
def test_away_from_loopback_it_tells_where_the_token_is(config: Path) -> None:
    port = free_port()
    command = [*WATCHGATE, "console", "--config", str(config), "--host", "0.0.0.0", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "WATCHGATE_CONSOLE_TOKEN"}
    console = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert answers(port, True, within_s=30)
    finally:
        console.terminate()
        _, said = console.communicate(timeout=20)
    assert f"sign in with the token from {config.parent / 'state' / 'console-token'}" in said
    assert console.returncode in (0, -15)
