"""A real /metrics page, held against the documented list."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from detectors.queries.likeness import Likeness
from gateway.metrics.families import BY_NAME, FAMILIES, family_of
from gateway.telemetry.recorder import open_recorder
from gateway.tracking.queries.config import QueriesConfig
from models.batch import Array
from tests import served
from tests.wired import tensor

INFER = "/v2/models/m/infer"
# With `drift`, `alerts`, `feedback`, `traffic_rows`, `trackers`; all others are on this app's page.
ELSEWHERE = tuple(f"watchgate_{what}" for what in ("drift", "alerts", "feedback", "traffic", "foreign"))
X = np.random.default_rng(0).uniform(0.1, 0.7, size=(1000, 12)).astype(np.float32)
PROMTOOL = shutil.which("promtool")


@asynccontextmanager
async def busy(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with everything on, after one request of each kind."""
    spec, backend = served.table_model(folder)
    made = served.endpoint("m", (spec, backend), served.guarded(backend), queries=QueriesConfig())
    made = replace(made, likeness=Likeness.fit(X, backend.spec), measured={"flag": 0.04, "reject": 0.01})
    config = served.configured(folder, [made])
    with closing(open_recorder(config, [made.info])) as recorder, served.tracked(config, made, recorder) as (app, _):
        async with served.client(app) as caller:
            for largest in (0.5, 0.85, 0.95):
                await caller.post(INFER, json={"inputs": [tensor(row(largest).tolist(), (1, 12))]})
            await caller.post(INFER, json={"inputs": []})
            while not recorder.stats()["stored"]:
                await asyncio.sleep(0.01)
            yield caller


def row(largest: float) -> Array:
    found = X[:1].copy()
    found[0, 3] = largest
    return found


async def test_the_page_is_the_list(tmp_path: Path) -> None:
    async with busy(tmp_path) as caller:
        page = (await caller.get("/metrics")).text
    seen = {}
    for parsed in text_string_to_metric_families(page):
        family = family_of(parsed.samples[0].name)
        assert family is not None, parsed.name
        assert (parsed.name, parsed.type, parsed.documentation) == (family.base, family.kind, family.text)
        for sample in parsed.samples:
            assert sample.labels.keys() - {"le"} == set(family.labels), sample
        seen[family.name] = len(parsed.samples)
    assert set(seen) <= set(BY_NAME)
    assert {name for name in BY_NAME if name not in seen and not name.startswith(ELSEWHERE)} <= {
        "watchgate_tracker_store_reached"  # where there is a shared store
    }
    assert sum(seen.values()) <= 74 + 6 * 1 + 45  # as the document says, of one stage


async def test_what_alerts_look_at_is_there_before_it_happens(tmp_path: Path) -> None:
    spec, backend = served.table_model(tmp_path)
    quiet = served.app(tmp_path, [served.endpoint("m", (spec, backend), served.guarded(backend))])
    async with served.client(quiet) as caller:
        page = (await caller.get("/metrics")).text
    for line in (
        'watchgate_decided_rows_total{action="flag",endpoint="m",stage="largest"} 0.0',
        'watchgate_dropped_observations_total{endpoint="m",kind="kept"} 0.0',
        'watchgate_requests_total{endpoint="m",status="503"} 0.0',
        'watchgate_rows_total{action="flag",endpoint="m"} 0.0',
        'watchgate_shadow_rows_total{action="reject",endpoint="m"} 0.0',
        'watchgate_stage_errors_total{endpoint="m",stage="largest"} 0.0',
    ):
        assert line in page.splitlines()


async def test_a_stage_counts_the_rows_that_it_scored(tmp_path: Path) -> None:
    async with busy(tmp_path) as caller:
        page = (await caller.get("/metrics")).text
    assert 'watchgate_stage_rows_total{endpoint="m",stage="largest"} 3.0' in page
    assert 'watchgate_budget_ratio{action="flag",endpoint="m"} 0.05' in page


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine: apt-get install prometheus")
async def test_promtool_finds_nothing_to_say_of_the_page(tmp_path: Path) -> None:
    async with busy(tmp_path) as caller:
        page = (await caller.get("/metrics")).content
    assert PROMTOOL is not None
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, timeout=20)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert len(FAMILIES) > 20
