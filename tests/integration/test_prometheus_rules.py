"""The rules and the dashboard that are shipped: promtool's own checks and tests, and only metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import betabinom

from gateway.metrics.families import family_of

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = [DEPLOY / "prometheus" / name for name in ("recording.yml", "alerts.yml")]
TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))
DASHBOARD = DEPLOY / "grafana" / "watchgate.json"
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine: apt-get install prometheus")


def promtool(*arguments: str | Path) -> None:
    assert PROMTOOL is not None
    command = [PROMTOOL, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def rules() -> list[dict[str, Any]]:
    """All rules, as they stand in the files."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    """What the dashboard asks, as Prometheus is asked it."""
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$endpoint", ".*")


def unknown(expression: str, recorded: set[str]) -> set[str]:
    """Names of ours that are neither a listed metric nor recorded by a rule."""
    names = set(re.findall(r"\bwatchgate[\w:]*", re.sub(r'"[^"]*"', "", expression)))
    return {name for name in names if name not in recorded and family_of(name) is None}


@needs_promtool
def test_promtool_finds_the_rules_and_the_config_sound() -> None:
    promtool("check", "rules", *RULES)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@needs_promtool
@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_rules_fire_when_they_should_and_not_otherwise(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_is_tested_to_fire() -> None:
    tests = "".join(path.read_text() for path in TESTS)
    alerts = [rule["alert"] for rule in rules() if "alert" in rule]
    assert len(alerts) == len(set(alerts))
    assert [name for name in alerts if f'alertname="{name}"' not in tests] == []


def test_rules_know_only_listed_metrics() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for rule in rules() for name in unknown(rule["expr"], recorded)} == set()
    assert unknown("rate(watchgate_made_up_total[5m]) > watchgate:nothing", recorded) == {
        "watchgate_made_up_total",
        "watchgate:nothing",
    }


def test_the_document_names_only_what_there_is() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    told = " ".join(re.findall(r"`(watchgate[_:][\w:]+)`", DOCUMENT.read_text(encoding="utf-8")))
    assert "watchgate:budget:ratio" in told
    assert unknown(told, recorded) == set()


def test_honest_rows_hardly_cross_the_margin() -> None:
    """The rate of honest rows is that of a conformal cut, the k-th of m rows: Beta(k, m + 1 - k)."""
    for budget in (0.005, 0.01, 0.05, 0.1):
        for m in (199, 500, 1000, 5000, 20_000):
            k = int((m + 1) * budget)
            if not k:
                continue
            n = np.array([1, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000, 1_000_000])
            allowed = n * budget + 4 * np.sqrt(n * budget * (1 - budget) * (1 + n / m)) + 4
            crossed = np.max(betabinom.sf(np.floor(allowed), n, k, m + 1 - k))
            assert crossed < (0.001 if k >= 20 else 0.01), (budget, m)


def test_the_document_lists_every_alert_as_the_file_has_it() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(Watchgate\w+)` \| (\w+) \|", text, re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule]


def test_the_dashboard_knows_only_listed_metrics_and_places_its_panels_apart() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for expression in expressions() for name in unknown(expression, recorded)} == set()
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids)) > 15
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


@needs_promtool
def test_promtool_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    made = [{"record": f"dashboard:panel:{n}", "expr": expression} for n, expression in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": made}]}))
    promtool("check", "rules", tmp_path / "rules.yml")
