"""The `watchgate` command in processes of its own, and requests to what it serves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from models.batch import Array
from tests import digits
from tests.ports import free_port

ENVIRONMENT = {**os.environ, "BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1"}
WATCHGATE = (sys.executable, "-m", "gateway.cli")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WATCHGATE, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


def calibrated(folder: Path, stated: Mapping[str, Any], **more: Any) -> str:
    """Makes an operator's folder of digits: `stated` of the endpoint, `more` keys of the config. What was printed."""
    digits.write(folder)
    document = {"endpoints": {"digits": {**digits.ENDPOINT, **stated}}, **more}
    (folder / "watchgate.yaml").write_text(yaml.safe_dump(document))
    done = run(folder, "calibrate")
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(port: int, method: str, path: str, document: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


@contextmanager
def serving(folder: Path, port: int, endpoint: str = "digits", workers: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    options = ("--port", str(port), "--workers", str(workers), "--no-console")
    server = subprocess.Popen([*WATCHGATE, "serve", *options], cwd=folder, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 90
        while not ready(port, endpoint):
            assert server.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server did not get ready"
            time.sleep(0.1)
        yield server
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(40)


@contextmanager
def serving_with_console(folder: Path) -> Iterator[tuple[int, str]]:
    """The gateway's port and the console's address; both end as by Ctrl-C."""
    port, console = free_port(), free_port()
    command = [*WATCHGATE, "serve", "--port", str(port), "--console-port", str(console)]
    server = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT)
    url = f"http://127.0.0.1:{console}"
    try:
        deadline = time.monotonic() + 90
        while not (ready(port, "digits") and answers(url)):
            assert time.monotonic() < deadline, "the gateway or its console did not get ready"
            time.sleep(0.1)
        yield port, url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(40)
    deadline = time.monotonic() + 10
    while answers(url):
        assert time.monotonic() < deadline, "the console outlived its server"
        time.sleep(0.1)


def ready(port: int, endpoint: str) -> bool:
    try:
        return ask(port, "GET", f"/v2/models/{endpoint}/ready")[0] == 200
    except OSError:
        return False


def infer(port: int, x: Array) -> tuple[int, Any]:
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": [float(value) for value in x.ravel()]}
    return ask(port, "POST", "/v2/models/digits/infer", {"inputs": [tensor]})


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def is_worker(process: psutil.Process) -> bool:
    return any("_bentoml_impl" in part for part in process.cmdline())
