from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
COMMANDS = ("init", "calibrate", "serve", "traces", "console", "status", "demo")
HEAVY = ("numpy", "scipy", "pydantic", "onnx", "onnxruntime", "torch", "bentoml", "rich", "ruamel", "opentelemetry")


def test_help_names_every_command_and_fits_a_terminal(run: Run) -> None:
    status, text, _ = run("--help")
    assert status == 0
    assert all(f"│ {command} " in text for command in COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    status, text, _ = run(command, "--help")
    assert status == 0
    assert f"Usage: watchgate {command}" in text.replace("root", "watchgate")
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_command_it_shows_the_help(run: Run) -> None:
    _, text, error = run()
    assert "Commands" in text + error


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"watchgate {version('watchgate')}\n", "")


def test_a_mistake_is_one_line_on_standard_error(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("calibrate", "serve"):
        status, text, error = run(command, "nowhere.yaml")
        assert (status, text) == (2, "")
        assert error == "watchgate: nowhere.yaml: no such file; `watchgate init` writes one\n"


def test_nothing_heavy_is_imported_before_a_command_needs_it() -> None:
    code = f"import gateway.cli.app, sys; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
