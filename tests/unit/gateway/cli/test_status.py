from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe
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
