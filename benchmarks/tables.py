"""Result files: Markdown tables for people, the same numbers as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others right.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    lines = [_line(header), "|" + "|".join([":--", *["--:"] * (len(header) - 1)]) + "|"]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"row has {len(row)} cells, the header {len(header)}: {list(row)}")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write(name: str, text: str, document: dict[str, Any], folder: Path = RESULTS) -> tuple[Path, Path]:
    """Writes name.md and name.json; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / f"{name}.md", folder / f"{name}.json"
    page.write_text(text.rstrip() + "\n")
    data.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    return page, data
