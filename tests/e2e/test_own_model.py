"""A model of one's own: `init`, `calibrate`, `serve` as commands, a request over HTTP, and an orderly end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from models.batch import Array
from tests import digits

ENVIRONMENT = {**os.environ, "BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1"}
WATCHGATE = (sys.executable, "-m", "gateway.cli")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WATCHGATE, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


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


def ready(port: int, endpoint: str) -> bool:
    try:
        return ask(port, "GET", f"/v2/models/{endpoint}/ready")[0] == 200
    except OSError:
        return False


def infer(port: int, x: Array) -> tuple[int, Any]:
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": [float(value) for value in x.ravel()]}
    return ask(port, "POST", "/v2/models/digits/infer", {"inputs": [tensor]})


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_from_a_model_file_to_an_answer_and_a_trace(tmp_path: Path) -> None:
    digits.write(tmp_path)
    given = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    assert run(tmp_path, "init", *given).returncode == 0
    assert run(tmp_path, "calibrate", "--quick").returncode == 0
    with np.load(tmp_path / "test.npz") as rows:
        x = rows["x"][:64]
    session = onnxruntime.InferenceSession(str(tmp_path / "digits.onnx"))
    port = free_port()
    with serving(tmp_path, port) as server:
        verdicts = [infer(port, row[None]) for row in x]
        rejected, answer = infer(port, x[:1] + np.float32(0.01))  # no scan has such gray levels
        server.send_signal(signal.SIGTERM)
        assert server.wait(40) == 0
    plain = [
        (row, document["outputs"][0]["data"])
        for row, (status, document) in zip(x, verdicts, strict=True)
        if status == 200 and len(document["outputs"]) == 1
    ]
    assert len(plain) > 50
    for row, logits in plain:
        np.testing.assert_allclose(session.run(None, {"x": row[None]})[0][0], logits, rtol=1e-5, atol=1e-5)
    assert rejected == 403
    listed = json.loads(run(tmp_path, "traces", "list", "--verdict", "reject", "--json").stdout)
    assert answer["id"] in [trace["id"] for trace in listed["traces"]]
