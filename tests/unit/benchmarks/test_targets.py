from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.serving.client import Burst
from benchmarks.serving.report import keep
from benchmarks.serving.rounds import CONNECTIONS, Effort, Measured
from benchmarks.serving.targets import PROMISES, checks

EFFORT = Effort(rounds=2, warm_s=0.1, measure_s=0.5)
FACTS = {
    "date": "2026-01-01 00:00 UTC", "cores": 2, "processor": "p", "system": "s", "load_1min_before": 0.0,
    "python": "3.11", "packages": {},
}  # fmt: skip


def burst(answers: int, cpu_s: float) -> Burst:
    return Burst(answers, 1.0, {"200": answers}, 1.0, 2.0, cpu_s, 0.0)


def tiny(cpu_of_empty_s: float) -> Measured:
    cells = {("bare", c): [burst(1000, 0.1), burst(500, 0.05)] for c in CONNECTIONS}
    cells |= {("empty", c): [burst(1000, cpu_of_empty_s), burst(500, cpu_of_empty_s / 2)] for c in CONNECTIONS}
    return Measured("tiny", 30.0, cells, {"mlserver": "not here"})


@pytest.mark.parametrize(("cpu_s", "outcome"), [(0.16, "pass"), (0.17, "pass"), (0.18, "fail")])
def test_the_median_ratio_decides(cpu_s: float, outcome: str) -> None:
    found = [check for check in checks(tiny(cpu_s)) if check.promise.system == "empty"]
    assert [check.connections for check in found] == list(CONNECTIONS)
    assert {check.outcome for check in found} == {outcome}


def test_a_promise_on_a_skipped_system_is_skipped() -> None:
    assert {c.outcome for c in checks(tiny(0.1)) if c.promise.against == "mlserver"} == {"skipped"}


def test_at_least_is_the_other_way_round() -> None:
    promise = next(p for p in PROMISES if p.bound == "at least")
    assert promise.kept(promise.limit)
    assert not promise.kept(promise.limit - 0.01)


def test_the_page_names_what_was_skipped_and_why(tmp_path: Path) -> None:
    page = keep([tiny(0.15)], EFFORT, FACTS, "the command", tmp_path).read_text()
    assert "(skipped: not here)" in page
    assert "| watchgate, empty chain | 750 (500–1,000) | 1.00 |" in page
    assert "| tiny: CPU a request of empty / bare at most 1.7 | 16 | 1.50 (1.50–1.50) | pass |" in page
    document = json.loads((tmp_path / "serving.json").read_text())
    assert document["command"] == "the command"
    assert document["runs"][0]["bursts"][0]["rounds"][0]["per_second"] == 1000.0
