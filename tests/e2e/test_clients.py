"""The real BentoML service: three clients, malformed requests, several workers, an orderly end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import psutil
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families

from models.batch import Array
from tests import digits
from tests.command import ENVIRONMENT, is_worker, run, serving
from tests.ports import free_port
from tests.wired import binary, packed, tensor

INFER = "/v2/models/digits/infer"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An operator's folder with digits, calibrated; two workers at most serve it."""
    found = tmp_path_factory.mktemp("digits")
    digits.write(found)
    assert (
        run(
            found, "init", "--listed", "--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz"
        ).returncode
        == 0
    )
    assert run(found, "calibrate").returncode == 0
    return found


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    found = free_port()
    with serving(folder, found):
        yield found


@pytest.fixture(scope="module")
def x(folder: Path, port: int) -> Array:
    """Rows that the chain allows, one by one."""
    with np.load(folder / "test.npz") as rows:
        found: Array = rows["x"][:80]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        kept = [row for row in found if words(client, row[None]) == ["allow"]]
    assert len(kept) > 60
    return np.stack(kept)


@pytest.fixture(scope="module")
def logits(folder: Path, x: Array) -> Array:
    """What onnxruntime says of them."""
    found: Array = onnxruntime.InferenceSession(str(folder / "digits.onnx")).run(None, {"x": x})[0]
    return found


def words(client: httpx.Client, x: Array) -> list[str]:
    response = client.post("/predict", json={"x": x.tolist()})
    return ["reject"] * len(x) if response.status_code == 403 else response.json()["verdict"]


@pytest.mark.parametrize("as_binary", [True, False])
def test_tritonclient_gets_onnxruntimes_answer(port: int, x: Array, logits: Array, as_binary: bool) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    [told] = client.get_model_metadata("digits")["outputs"]
    given = triton.InferInput("x", x.shape, "FP32")
    given.set_data_from_numpy(x, binary_data=as_binary)
    asked = [triton.InferRequestedOutput(told["name"], binary_data=as_binary)]
    for outputs in (asked, None):
        result = client.infer("digits", [given], outputs=outputs, request_id="seven")
        np.testing.assert_allclose(result.as_numpy(told["name"]), logits, rtol=1e-5, atol=1e-5)
        assert result.get_response()["id"] == "seven"
    client.close()


@pytest.mark.parametrize("as_binary", [True, False])
def test_tritonclient_reads_mixed_batches(port: int, x: Array, logits: Array, as_binary: bool) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    mixed = x[:4].copy()
    mixed[2] += np.float32(0.01)  # no scan has such gray levels
    given = triton.InferInput("x", mixed.shape, "FP32")
    given.set_data_from_numpy(mixed, binary_data=as_binary)
    asked = [triton.InferRequestedOutput(name, binary_data=as_binary) for name in ("logits", "verdict")]
    result = client.infer("digits", [given], outputs=asked)
    told = [word.decode() if as_binary else word for word in result.as_numpy("verdict")]
    assert told == ["allow", "allow", "reject", "allow"]
    answer = result.as_numpy("logits")
    assert np.isnan(answer[2]).all()
    np.testing.assert_allclose(answer[[0, 1, 3]], logits[[0, 1, 3]], rtol=1e-5, atol=1e-5)
    client.close()


BENTOML_CLIENT = """
import json, sys
import bentoml, numpy as np
port, rows = sys.argv[1:]
x = np.load(rows)
with bentoml.SyncHTTPClient(f"http://127.0.0.1:{port}") as client:
    told = [client.predict(x), client.predict(x=x, endpoint="digits"), client.predict(inputs={"x": x.tolist()})]
    for refused in (x[:1] + np.float32(0.01), x[:, 0]):
        try:
            client.predict(refused)
        except bentoml.exceptions.BentoMLException as exc:
            told.append([exc.error_code.value, str(exc)])
print(json.dumps(told))
"""


def test_bentomls_client_gets_onnxruntimes_answer(port: int, x: Array, logits: Array, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", x)
    command = [sys.executable, "-c", BENTOML_CLIENT, str(port), str(tmp_path / "rows.npy")]
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60)
    *answers, rejected, malformed = json.loads(ran.stdout)
    for answer in answers:
        np.testing.assert_allclose(answer["outputs"]["logits"], logits, rtol=1e-5, atol=1e-5)
        assert set(answer["verdict"]) == {"allow"}
    assert (len(answers), rejected[0], malformed[0]) == (3, 403, 400)
    assert "the request was rejected" in rejected[1]
    assert "expected rows, nested 4 deep, found 3 deep" in malformed[1]


def test_curl_gets_onnxruntimes_answer(port: int, x: Array, logits: Array, tmp_path: Path) -> None:
    def curl(path: str, document: Any) -> Any:
        (tmp_path / "body.json").write_text(json.dumps(document))
        command = ["curl", "-s", "-H", "content-type: application/json", "--data-binary", "@body.json"]
        command.append(f"http://127.0.0.1:{port}{path}")
        return json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)

    answer = curl(INFER, {"inputs": [tensor(x.tolist(), x.shape)]})
    np.testing.assert_allclose(np.reshape(answer["outputs"][0]["data"], logits.shape), logits, rtol=1e-5, atol=1e-5)
    answer = curl("/predict", {"x": x.tolist()})
    np.testing.assert_allclose(answer["outputs"]["logits"], logits, rtol=1e-5, atol=1e-5)


def test_bad_input_gets_the_right_refusal_and_the_service_goes_on(port: int, x: Array) -> None:
    good, size = binary(packed(x[:1]))
    text = json.dumps({"inputs": [tensor(x[:1].tolist(), (1, 1, 8, 8))]}).encode()
    header = "inference-header-content-length"
    cases: list[tuple[int, str, bytes, dict[str, str]]] = [
        (400, INFER, b"", {}),
        (400, INFER, text[:-9], {}),
        (400, INFER, text.replace(b"0.0", b"NaN", 1), {}),
        (400, INFER, text.replace(b"0.0", b"Infinity", 1), {}),
        (400, INFER, text.replace(b"0.0", b"1e400", 1), {}),
        (400, INFER, text.replace(b"0.0", b"null", 1), {}),
        (400, INFER, text.replace(b"0.0", b'"0"', 1), {}),
        (400, INFER, text.replace(b"FP32", b"FP64"), {}),
        (400, INFER, text.replace(b"[1, 1, 8, 8]", b"[1, 64]"), {}),
        (400, INFER, text.replace(b"[1, 1, 8, 8]", b"[2, 1, 8, 8]"), {}),
        (400, INFER, text.replace(b"[1, 1, 8, 8]", b"[-1, 1, 8, 8]"), {}),
        (413, INFER, text.replace(b"[1, 1, 8, 8]", b"[9223372036854775807, 1, 8, 8]"), {}),
        (400, INFER, text.replace(b'"name"', b'"name": "x", "name"'), {}),
        (400, INFER, text.replace(b'"x"', b'"y"'), {}),
        (400, INFER, b'{"inputs": []}', {}),
        (400, INFER, b"[" * 100_000, {}),
        (400, INFER, good[:-1], {header: str(size)}),
        (400, INFER, good, {header: str(size - 1)}),
        (400, INFER, good, {header: "1000000"}),
        (400, INFER, good, {header: "-1"}),
        (400, INFER, good.replace(b"256", b"255"), {header: str(size)}),
        (415, INFER, text, {"content-type": "text/plain"}),
        (415, INFER, text, {"content-encoding": "gzip"}),
        (413, INFER, b" " * (17 * 2**20), {}),
        (404, "/v2/models/none/infer", text, {}),
        (404, "/v2/models/digits/versions/7/infer", text, {}),
        (400, "/predict", b'{"x": [[NaN]]}', {}),
        (400, "/predict", b'{"x": [["1"]]}', {}),
        (400, "/predict", b'{"x": [[1e400]]}', {}),
        (400, "/predict", b"hello", {"content-type": "image/png"}),
        (404, "/predict", b'{"endpoint": "none", "x": [[1]]}', {}),
    ]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        for status, path, body, headers in cases:
            response = client.post(path, content=body, headers=headers)
            assert response.status_code == status, (path, body[:60], headers, response.text)
            assert response.json()["id"] == response.headers["x-watchgate-id"]
            assert response.json()["error"]
        assert client.post(INFER, content=text).status_code == 200


def test_bentomls_own_routes_are_still_there(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/livez").status_code == 200
        [route] = client.get("/schema.json").json()["routes"]
        assert route["route"] == "/predict"
        assert client.get("/nothing").status_code == 404


def counted(client: httpx.Client) -> dict[str, float]:
    """Allowed rows, and how many workers say so."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    allowed = [s.value for s in samples if s.name == "watchgate_rows_total" and s.labels["action"] == "allow"]
    return {"rows": sum(allowed), "workers": next(s.value for s in samples if s.name == "watchgate_workers")}


def test_two_workers_count_together_and_survive_each_other(folder: Path, x: Array) -> None:
    port = free_port()
    with serving(folder, port, workers=2) as server, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        deadline = time.monotonic() + 60
        while (before := counted(client))["workers"] < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for _ in range(40):  # a connection of its own for each, so that both workers get some
            assert httpx.post(f"http://127.0.0.1:{port}/predict", json={"x": x.tolist()}).status_code == 200
        expected = before["rows"] + 40 * len(x)
        while (now := counted(client)["rows"]) < expected:  # the other worker writes its numbers once a second
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert now == expected
        victim = next(child for child in psutil.Process(server.pid).children(recursive=True) if is_worker(child))
        victim.kill()
        seen = [now]
        while (told := again(port)) is None or told["workers"] < 2 or len(seen) < 5:
            if told is not None:
                seen.append(told["rows"])
            assert time.monotonic() < deadline + 60
            time.sleep(0.2)
        assert seen == sorted(seen)
        assert seen[-1] >= now


def again(port: int) -> dict[str, float] | None:
    """The numbers over a new connection; None where a worker is just gone."""
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            return counted(client)
    except httpx.TransportError:
        return None


def test_a_terminated_server_answers_what_it_has_accepted(folder: Path, x: Array) -> None:
    port = free_port()
    body = json.dumps({"inputs": [tensor(x[:1].tolist(), (1, 1, 8, 8))]}).encode()
    head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with serving(folder, port) as server, socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
        caller.sendall(head + body[:100])
        time.sleep(0.3)
        os.kill(server.pid, signal.SIGTERM)
        time.sleep(1.0)
        caller.sendall(body[100:])
        assert caller.recv(100).startswith(b"HTTP/1.1 200")
        assert server.wait(40) == 0
