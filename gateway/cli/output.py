"""What commands print: JSON documents on standard output, everything for people on standard error or as plain lines."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigFile = Annotated[Path, typer.Argument(help="The config file.", show_default=True, metavar="CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on standard output.")]


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints the document; values that JSON has no word for (infinity, not a number) become null."""
    typer.echo(json.dumps(_plain(document), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value


def note(text: str) -> None:
    """A line for the person who watches, on standard error."""
    typer.echo(text, err=True)


def safe(text: str | None) -> str:
    """The text without what would move a terminal's cursor or change its colors."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text or "-")


def program() -> str:
    """What to type for this very `watchgate` from here: its name where the shell finds it, else its path."""
    script = Path(sys.executable).parent / "watchgate"
    found = shutil.which("watchgate")
    if found is not None and Path(found).absolute() == script.absolute():
        return "watchgate"
    if not script.is_file():
        return f"{sys.executable} -m gateway.cli"
    near = os.path.relpath(script)
    return str(script) if near.startswith(os.pardir) else near
