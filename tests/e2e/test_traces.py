"""What the real server leaves behind: every stopped request, whatever the caller's header says, and after a kill."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.batch import Array
from tests.command import calibrated, run, serving
from tests.otlp import Receiver
from tests.ports import free_port

UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def project(folder: Path, **telemetry: object) -> None:
    """A calibrated folder with a contract alone, so that it is known which rows are stopped."""
    calibrated(folder, {"chain": [{"kind": "contract"}]}, telemetry=telemetry)


def infer(port: int, x: Array, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and id of the answer."""
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": [float(v) for v in x.ravel()]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/models/digits/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"content-type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers["x-watchgate-id"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["x-watchgate-id"]


def listed(folder: Path, *arguments: str) -> set[str]:
    done = run(folder, "traces", "list", "--json", "--limit", "100000", *arguments)
    assert done.returncode == 0, done.stderr
    return {trace["id"] for trace in json.loads(done.stdout)["traces"]}


def honest_rows(folder: Path) -> Array:
    """Rows that the learned contract lets through: those of the reference itself."""
    x: Array = np.load(folder / "train.npz")["x"]
    return x


@pytest.mark.timeout(240)
def test_a_callers_sampling_flag_hides_nothing(tmp_path: Path) -> None:
    with Receiver() as receiver:
        project(tmp_path, sample_clean=0.0, otlp=receiver.url)
        x = honest_rows(tmp_path)
        port = free_port()
        answers: dict[str, int] = {}
        with serving(tmp_path, port):
            for index in range(200):
                row = x[index : index + 1] + (2.0 if index % 10 == 0 else 0.0)
                status, trace = infer(port, row, {"traceparent": UNSAMPLED})
                answers[trace] = status
        stopped = {trace for trace, status in answers.items() if status == 403}
        assert len(stopped) == 20
        assert set(answers.values()) == {200, 403}
        assert listed(tmp_path) == stopped
        assert listed(tmp_path, "--verdict", "allow") == set()
        arrived = {span.trace_id.hex() for span in receiver.spans}
        assert arrived == stopped
        names = sorted(span.name for span in receiver.spans if span.trace_id.hex() == min(stopped))
        assert len(names) == 2
        assert any("contract" in name for name in names)


@pytest.mark.timeout(240)
def test_one_bad_row_of_64_is_rejected_alone(tmp_path: Path) -> None:
    project(tmp_path)
    x = honest_rows(tmp_path)[:64].copy()
    x[17, 0, 3, 3] = 0.03  # off the lattice of sixteenths
    port = free_port()
    with serving(tmp_path, port):
        document = {
            "inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}],
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v2/models/digits/infer",
            json.dumps(document).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            outputs = {tensor["name"]: tensor for tensor in json.load(answer)["outputs"]}
    assert [row for row, word in enumerate(outputs["verdict"]["data"]) if word != "allow"] == [17]
    assert outputs["verdict"]["data"][17] == "reject"


@pytest.mark.timeout(240)
def test_what_was_answered_before_a_kill_is_in_the_store(tmp_path: Path) -> None:
    project(tmp_path)
    x = honest_rows(tmp_path)
    port = free_port()
    answered: list[tuple[float, str]] = []
    stop = threading.Event()

    def load(offset: int) -> None:
        index = offset
        while not stop.is_set():
            index += 1
            bad = index % 2 == 0
            try:
                status, trace = infer(port, x[index % 500 : index % 500 + 1] + (2.0 if bad else 0.0))
            except OSError:
                return  # the worker is gone
            if status == 403:
                answered.append((time.monotonic(), trace))

    with serving(tmp_path, port) as server:
        threads = [threading.Thread(target=load, args=(offset,)) for offset in (0, 251)]
        for thread in threads:
            thread.start()
        time.sleep(4)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        killed = time.monotonic()
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join(30)
        server.wait(30)
    due = {trace for at, trace in answered if at < killed - 1.0}
    assert len(due) > 50
    assert due <= listed(tmp_path)
