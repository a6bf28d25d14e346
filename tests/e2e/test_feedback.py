"""Production tells: true labels through two real workers, how callers ask, and cuts set anew on a sample of it."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway import configfile
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.feedback.answers import answers_key
from gateway.tracking.feedback.report import AccuracyStatus, accuracy_name
from gateway.training.bundle import MANIFEST
from gateway.training.loading import load_endpoints
from models.batch import Array
from tests.command import calibrated, run, serving
from tests.ports import free_port
from tests.waiting import until

ENDPOINT = {
    "chain": [{"kind": "mahalanobis"}],
    "mode": "shadow",
    "budget": {"flag": 0.1, "reject": 0.02},
    "queries": {"steps": ["flag"]},
    "feedback": {"window": 200, "every": "1s"},
}
CALLERS = {"header": "x-caller", "trusted": ["127.0.0.1"]}


def post(connection: http.client.HTTPConnection, path: str, document: Any, caller: str) -> tuple[str, Any]:
    headers = {"content-type": "application/json", "x-caller": caller}
    connection.request("POST", f"/v2/models/digits/{path}", json.dumps(document), headers)
    response = connection.getresponse()
    body = json.loads(response.read())
    assert response.status == 200, body
    return str(response.headers["x-watchgate-id"]), body


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "bundle" / "digits" / MANIFEST).read_text())
    return found


@pytest.mark.slow
@pytest.mark.timeout(480)
def test_production_tells_how_it_goes_and_sets_new_cuts(tmp_path: Path) -> None:
    said = calibrated(tmp_path, ENDPOINT, principal=CALLERS, state={"capture": {"traffic_rows": 1000}})
    assert "is what labels are held to" in said.replace("\n", " ")
    before = manifest(tmp_path)
    with np.load(tmp_path / "test.npz") as file:
        x: Array = file["x"]
        y = file["y"]
    noisy = np.clip(x + np.random.default_rng(0).normal(0, 0.15, x.shape), 0, 1).astype(np.float32)
    port = free_port()
    with serving(tmp_path, port, workers=2):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        answered = []
        for start in range(0, 400, 4):
            rows = noisy[start : start + 4]
            tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": rows.ravel().tolist()}
            answered.append(post(connection, "infer", {"inputs": [tensor]}, f"caller {start % 13}"))
        store = SqliteShared.open(tmp_path / "state")
        ids = [id_ for id_, _ in answered]
        until(lambda: len(store.logged(answers_key("digits"), ids)) == 100)
        right = 0
        for number, (id_, body) in enumerate(answered):
            start = 4 * number
            classes = np.array(body["outputs"][0]["data"]).reshape(4, -1).argmax(axis=1)
            right += int((classes == y[start : start + 4]).sum())
            labels = [{"id": id_, "row": row, "label": int(y[start + row])} for row in range(4)]
            told = post(connection, "feedback", {"labels": [*labels, labels[0]]}, f"caller {start % 13}")[1]
            assert told == {"counted": 4, "repeated": 1, "unknown": 0}
            assert post(connection, "feedback", {"labels": labels}, "another")[1]["unknown"] == 4

        def status() -> AccuracyStatus | None:
            kept = store.load(accuracy_name("digits", before["version"]))
            return None if kept is None else msgspec.json.decode(kept.value, type=AccuracyStatus)

        def counted() -> bool:
            found = status()
            return found is not None and found.labels == 400 and found.window > 0 and len(found.series) > 0

        until(counted)
        connection.close()
    found = status()
    store.close()
    assert found is not None
    assert (found.labels, found.correct) == (400, right)
    assert found.low < right / 400 < found.high
    told = json.loads(run(tmp_path, "drift", "--json").stdout)["endpoints"]["digits"]
    assert told["accuracy"]["correct"] == sum(point["correct"] for point in told["accuracy"]["over_time"]) == right
    assert {"error rate", "true class"} <= {each["name"] for each in told["series"]}
    principals = json.loads(run(tmp_path, "principals", "--json").stdout)
    asking = {each["principal"]: each["asking"][0] for each in principals}
    assert sum(each["rows"] for each in asking.values()) == 400
    assert all(0.0 < each["coverage"] < 1.0 and each["near_boundary"] >= 0.0 for each in asking.values())
    done = run(tmp_path, "calibrate", "--from-traffic", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)["endpoints"][0]
    assert sum(report["rows"].values()) == 400
    assert "whoever sends odd rows moves the cuts" in report["warnings"][0]
    after = manifest(tmp_path)
    assert after["cuts"]["flag"] < before["cuts"]["flag"]  # noise is usual here
    served = load_endpoints(configfile.read(tmp_path / "watchgate.yaml"))["digits"]
    assert served.info.version == after["version"]
