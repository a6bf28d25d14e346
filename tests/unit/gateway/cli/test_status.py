from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe
from tests.drifted import Evaluated, write_bundle
from tests.traffic import observe, wild

Run = Callable[..., tuple[int, str, str]]
CONFIG = "endpoints: {digits: {model: {kind: onnx, path: digits.onnx}, reference: train.npz}}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "watchgate.yaml"
    file.write_text(CONFIG)
    return file


def test_it_tells_what_the_overview_shows(run: Run, config: Path) -> None:
    store = SqliteStore.open_for_writing(config.parent / "state")
    store.write([describe(observe(wild(1), principal="10.0.0.1"))])
    store.close()
    status, out, _ = run("status", "--config", config, "--json")
    document = json.loads(out)
    (one,) = document["endpoints"]
    assert status == 0
    assert (one["endpoint"], one["level"], one["principals"]) == ("digits", "act", {"10.0.0.1": 1})
    assert document["gateway"]["store"]["requests"] == 1
    status, out, _ = run("status", "--config", config)
    assert "digits: No worker serves it" in out
    assert "gateway: 0 workers, 1 requests kept" in out


def test_a_gateway_that_never_served_is_one_line(run: Run, config: Path) -> None:
    status, _, error = run("status", "--config", config)
    assert status == 2
    assert len(error.splitlines()) == 1
    assert "expected the store of a gateway that served" in error


def test_it_tells_whether_the_rows_drift(run: Run, config: Path) -> None:
    config.write_text(CONFIG.replace("reference: train.npz", "reference: train.npz, drift: {window: 200}"))
    SqliteStore.open_for_writing(config.parent / "state").close()
    assert "  drift: nothing was evaluated yet\n" in run("status", "--config", config)[1]
    evaluated = Evaluated(config.parent / "state", write_bundle(config.parent), time.time() - 300.0)
    evaluated.go_on(16)
    assert "  no drift in 800 rows\n" in run("status", "--config", config)[1]
    evaluated.go_on(8, shift=1.0)
    assert "the rows differ from the held-out ones in a" in run("status", "--config", config)[1]
    (one,) = json.loads(run("status", "--config", config, "--json")[1])["endpoints"]
    assert (one["drift"]["drifted"], one["drift"]["rows"], "a" in one["drift"]["series"]) == (True, 1200, True)
