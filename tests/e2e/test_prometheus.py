"""A real Prometheus scrapes the real endpoint with the rules that are shipped, and raises the alarm on an attack.

Every duration in the rules is a sixtieth as long, nothing else is changed: an hour passes in a minute.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from models.batch import Array
from tests.backends import running
from tests.command import serving
from tests.e2e.test_traces import honest_rows, project
from tests.integration.test_prometheus_rules import RULES, expressions
from tests.ports import free_port
from tests.wired import tensor

PROMETHEUS = shutil.which("prometheus")
INFER = "/v2/models/digits/infer"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FASTER = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus on this machine: apt-get install prometheus"),
]


def hurried(rules: str) -> str:
    """The rules with windows and waiting times a sixtieth as long."""
    return re.sub(
        r"(\[|for: )(\d+)([smhd])\b",
        lambda found: f"{found[1]}{int(found[2]) * SECONDS[found[3]] * 1000 // FASTER}ms",
        rules,
    )


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def firing(self) -> set[tuple[str, str]]:
        """Names and actions of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {(a["labels"]["alertname"], a["labels"].get("action", "")) for a in alerts if a["state"] == "firing"}


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[Prometheus]:
    assert PROMETHEUS is not None
    folder.mkdir()
    for path in RULES:
        (folder / path.name).write_text(hurried(path.read_text()))
    config = yaml.safe_load((RULES[0].parent / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [PROMETHEUS, f"--web.listen-address=127.0.0.1:{port}", f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", "--log.level=warn"]
    with running(command, f"http://127.0.0.1:{port}/-/ready", folder, {}):
        yield Prometheus(f"http://127.0.0.1:{port}")


class Caller:
    """Sends rows one by one, `share` of them off the lattice that all honest rows keep to."""

    def __init__(self, port: int, x: Array) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        self._x = x
        self._rng = np.random.default_rng(0)

    def send(self, share: float) -> int:
        row = self._x[self._rng.integers(len(self._x))][None] + np.float32(0.01 * (self._rng.random() < share))
        return self._http.post(INFER, json={"inputs": [tensor(row.tolist(), row.shape)]}).status_code

    def until(self, share: float, ended: Callable[[], bool], at_most_s: float) -> float:
        """Sends until it is so; how many seconds that took."""
        began = time.monotonic()
        while not ended():
            assert time.monotonic() - began < at_most_s
            for _ in range(10):
                self.send(share)
        return time.monotonic() - began

    def close(self) -> None:
        self._http.close()


def test_an_attack_raises_the_alarm_and_honest_traffic_does_not(tmp_path: Path) -> None:
    project(tmp_path)
    port = free_port()
    with serving(tmp_path, port) as server, prometheus(tmp_path / "prometheus", port) as seen:
        caller = Caller(port, honest_rows(tmp_path))
        began = time.monotonic()
        caller.until(0.005, lambda: time.monotonic() - began > 12.0, 60.0)
        assert seen.firing() - {("WatchgateSlow", "")} == set()
        assert float(seen.get("query", query="watchgate:rows:increase5m")["result"][0]["value"][1]) > 20
        wanted = {("WatchgateBudgetOverrun", "flag"), ("WatchgateBudgetOverrun", "reject")}
        took_s = caller.until(0.5, lambda: wanted <= seen.firing(), 60.0)
        assert took_s < 30.0
        everything_evaluates(seen)
        caller.close()
        server.terminate()
        server.wait(40)
        deadline = time.monotonic() + 30
        while ("WatchgateDown", "") not in seen.firing():
            assert time.monotonic() < deadline
            time.sleep(0.2)


def everything_evaluates(seen: Prometheus) -> None:
    """Every rule without a fault, and every panel of the dashboard; those that must have values have some."""
    rules = [rule for group in seen.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    silent = [expression for expression in expressions() if not seen.get("query", query=expression)["result"]]
    assert [expression for expression in silent if "drift" not in expression and "tracking" not in expression] == []


def test_nothing_but_durations_is_hurried() -> None:
    assert hurried("increase(x[5m]) > 60\nfor: 2m") == "increase(x[5000ms]) > 60\nfor: 2000ms"
