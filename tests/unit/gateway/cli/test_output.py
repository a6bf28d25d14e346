from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.output import print_json, program


def test_what_it_says_to_type_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On and off the shell's path, in the folder of the environment and elsewhere."""
    home = str(Path(sys.executable).parent)
    for path in (home, str(tmp_path)):
        for folder in (Path(home).parents[1], tmp_path):
            monkeypatch.setenv("PATH", path + os.pathsep + os.defpath)
            monkeypatch.chdir(folder)
            ran = subprocess.run(f"{program()} --version", shell=True, capture_output=True, text=True)
            assert ran.stdout.startswith("watchgate "), (program(), ran.stderr)


def test_a_document_is_standard_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("inf"), "b": (1, float("nan")), "c": Path("x/y"), "d": {1: True}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1, None], "c": "x/y", "d": {"1": True}}
