from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.tables import table, write


def test_a_table() -> None:
    assert table(("what", "n"), [("a", "1"), ("b|c", "2")]).splitlines() == [
        "| what | n |",
        "|:--|--:|",
        "| a | 1 |",
        "| b\\|c | 2 |",
    ]


def test_a_row_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells, the header 2"):
        table(("what", "n"), [("a",)])


def test_both_files_are_written(tmp_path: Path) -> None:
    page, data = write("name", "text\n\n", {"a": [1]}, tmp_path / "results")
    assert page.read_text() == "text\n"
    assert json.loads(data.read_text()) == {"a": [1]}


def test_a_number_that_json_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write("name", "text", {"a": float("nan")}, tmp_path)
