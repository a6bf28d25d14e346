"""`traces export` to Parquet, read back."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.cli.traces.app import app
from gateway.errors import OperatorError
from gateway.state.record import Entry
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe, facts_of
from tests.traffic import failed, info, observe, odd, typical, wild

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'watchgate[parquet]'")

CONFIG = "endpoints: {digits: {model: {kind: onnx, path: digits.onnx}, reference: train.npz}}\n"
COLUMNS = ["age", "label", "hours", "gain"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keep(folder: Path, entries: Sequence[Entry], facts: Mapping[str, object] | None = None) -> None:
    store = SqliteStore.open_for_writing(folder / "state")
    store.describe_chain("digits", info().version, facts or facts_of(info()))
    store.write(entries)
    store.close()


def mixed() -> Entry:
    return describe(observe(np.concatenate([typical(3), odd(1), wild(1)])))


def export(*arguments: str) -> int:
    result = CliRunner().invoke(app, ["export", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return int(json.loads(result.stdout)["rows"])


def test_kept_rows_come_back(folder: Path) -> None:
    entry = mixed()
    keep(folder, [entry, describe(failed()), describe(observe(typical(1)))])
    assert export("flagged.parquet") == 2
    rows = pq.read_table("flagged.parquet").to_pylist()
    assert [(row["id"], row["row"], row["verdict"]) for row in rows] == [
        (entry.record.id, 3, "flag"),
        (entry.record.id, 4, "reject"),
    ]
    np.testing.assert_allclose(rows[0]["x"], odd(1).ravel())
    np.testing.assert_allclose(rows[0]["purified"], odd(1).ravel() * 0.5 + 0.25)
    assert rows[1]["purified"] is None
    evidence = entry.record.row_evidence[3]
    assert rows[0]["p_value"] == evidence.p_value
    assert rows[0]["score_brightness"] == entry.record.stages[0].scores[3]
    assert rows[0]["label"] == (evidence.before.label if evidence.before else None)
    assert rows[1]["purified_label"] == -1
    when = datetime.fromtimestamp(entry.record.started_ns / 1e9, timezone.utc)
    assert abs((rows[0]["time"] - when).total_seconds()) < 0.001
    assert json.loads(pq.read_schema("flagged.parquet").metadata[b"watchgate.input"])["shape"] == [1, 4, 4]
    assert not list(folder.glob("*.part"))


def test_a_window_has_every_row_that_was_judged(folder: Path) -> None:
    keep(folder, [mixed(), describe(failed()), describe(observe(typical(2)))])
    assert export("now.parquet", "--window", "--since", "1h") == 7
    table = pq.read_table("now.parquet")
    assert sorted(table["verdict"].to_pylist()) == ["allow"] * 5 + ["flag", "reject"]
    assert table["x"].null_count == 5
    assert table["score_margin"].null_count > 0  # not reached
    assert export("now.parquet", "--window", "--verdict", "flag", "--until", "1h") == 0


def test_a_tables_columns_are_columns(folder: Path) -> None:
    entry = mixed()
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    entry = replace(entry, arrays={"input": rows, "purified": rows / 2})
    facts = {"stages": [], "input": {"kind": "table", "shape": [4], "columns": COLUMNS}}
    keep(folder, [entry], facts)
    assert export("flagged", "--format", "parquet") == 2
    table = pq.read_table("flagged")
    assert table["age"].to_pylist() == [0.0, 4.0]
    assert table["x_label"].to_pylist() == [1.0, 5.0]  # `label` is what the model said
    assert table["purified_gain"].to_pylist() == [1.5, None]


def test_nothing_to_export_is_an_empty_file(folder: Path) -> None:
    keep(folder, [])
    assert export("none.parquet") == 0
    assert pq.read_table("none.parquet").num_rows == 0


def test_mistakes_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(mixed(), arrays={"input": np.zeros((2, 3), np.float32)})
    keep(folder, [mixed(), other])
    with pytest.raises(OperatorError, match="--endpoint: rows of several shapes"):
        export("a.parquet")
    with pytest.raises(OperatorError, match=r"--window: expected a \.parquet file, found a\.npz"):
        export("a.npz", "--window")
    with pytest.raises(OperatorError, match="absent"):
        export("absent/a.parquet", "--limit", "1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OperatorError, match=r"pip install 'watchgate\[parquet\]'"):
        export("a.parquet")
