"""A request's page beside the reference: rows of images, tables and series."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.cli.traces.app import app
from gateway.explaining.sample import Sample
from gateway.state.record import Record
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe
from models.batch import Array, InputSpec
from tests.traffic import SPEC, honest, info, observe, odd
from tests.unit.gateway.console.bundled import bundle
from tests.unit.gateway.console.conftest import HOSTILE
from tests.visitor import Visitor

LABELS = np.arange(60) % 3
Kept = Callable[..., Record]


def shape(kind: str, *columns: str) -> dict[str, Any]:
    """What a store knows of an input."""
    return {"kind": kind, "dtype": "<f4", "shape": [4], "bounds": None, "layout": None, "columns": list(columns)}


@pytest.fixture
def keep(folder: Path) -> Kept:
    """Stores one flagged request of the chain in the bundle, with this row and input."""

    def keep(x: Array, facts: dict[str, Any], version: str = "v1") -> Record:
        entry = describe(observe(odd(1)))
        entry = replace(
            entry, record=msgspec.structs.replace(entry.record, version=version), arrays={"input": x, "purified": x / 2}
        )
        store = SqliteStore.open_for_writing(folder / "state")
        store.describe_chain("digits", version, {"stages": [], "input": facts})
        store.write([entry])
        store.close()
        return entry.record

    return keep


def sampled(folder: Path, kind: str, x: Array) -> Sample:
    spec = SPEC if kind == "image" else InputSpec(kind, np.dtype("float32"), x.shape[1:])  # type: ignore[arg-type]
    return bundle(folder, x, LABELS[: len(x)], spec, "v1")


def test_images_stand_beside_the_nearest_ones(client: Visitor, folder: Path, keep: Kept) -> None:
    x = honest(60)
    sample = sampled(folder, "image", x)
    facts = {**shape("image"), "shape": [1, 4, 4], "bounds": [0, 1], "layout": "NCHW"}
    record = keep(x[7:8] + np.float32(0.01), facts)
    page = client.get(f"/requests/{record.id}").text
    assert "Nearest reference rows" in page
    shown = re.findall(r'src="(/requests/[0-9a-f]+/example-(\d+)\.png\?v=v1)" alt="reference row (\d+)"', page)
    assert len(shown) == 4
    assert shown[0][2] == "7"
    assert f"class <b>{LABELS[7]}</b>, 0.01 apart" in page
    assert client.get(shown[0][0]).headers["content-type"] == "image/png"
    for absent in (f"example-{len(sample)}.png", "example--1.png", "example-x.png"):
        assert client.get(f"/requests/{record.id}/{absent}").status_code == 404
    other = keep(x[:1], {**facts, "shape": [1, 2, 8]}, "v2")
    assert client.get(f"/requests/{other.id}/example-0.png").status_code == 404


def test_a_table_stands_beside_its_columns(client: Visitor, folder: Path, keep: Kept) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    sample = sampled(folder, "table", x)
    row = x[3:4].copy()
    row[0, 1] = 9.0
    page = client.get(f"/requests/{keep(row, shape('table', 'age', HOSTILE, 'hours', 'gain')).id}").text
    assert "1 outside the reference&#39;s range (&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert page.count('class="strip"') == 4
    assert page.count('<span class="offmark outside">outside</span>') == 1
    assert f"Nearest 1, class {sample.nearest(row[0], 1)[0].label}" in page
    assert "98 % lie in" in page


def test_the_command_tells_the_same(folder: Path, keep: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    sampled(folder, "table", x)
    row = x[3:4].copy()
    row[0, 1] = 9.0
    record = keep(row, shape("table", "age", "sex", "hours", "gain"))
    monkeypatch.chdir(folder)
    shown = json.loads(CliRunner().invoke(app, ["show", record.id, "--json"], catch_exceptions=False).stdout)["beside"]
    assert len(shown["nearest"]) == 4
    assert [one["name"] for one in shown["values"] if one["off"] == "outside"] == ["sex"]
    assert "finds any class likely" in shown["decided_by"]


def test_a_series_stands_beside_the_nearest_ones(client: Visitor, folder: Path, keep: Kept) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2, 30)).astype(np.float32)
    sampled(folder, "series", x)
    page = client.get(f"/requests/{keep(x[5:6], {**shape('series'), 'shape': [2, 30]}).id}").text
    assert page.count('aria-label="series of 2 channels, 30 steps"') == 5
    assert f"row 5, class <b>{LABELS[5]}</b>, 0 apart" in page


def test_a_bundle_without_a_sample_shows_nothing_near(client: Visitor, records: list[Record]) -> None:
    assert "Nearest reference rows" not in client.get(f"/requests/{records[1].id}").text
    assert client.get(f"/requests/{records[1].id}/example-0.png").status_code == 404


def test_the_deciding_stage_is_put_into_words(client: Visitor, folder: Path, keep: Kept) -> None:
    assert info().stages[0].name == "brightness"
    sampled(folder, "table", np.zeros((60, 4), np.float32))  # in it the stage is of kind energy
    page = client.get(f"/requests/{keep(np.zeros((1, 4), np.float32), shape('table')).id}").text
    assert "Why it was flagged" in page
    assert "<b>brightness</b> looks at whether the model finds any class likely at all" in page
