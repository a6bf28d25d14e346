"""`bentoml build` packs the gateway without asking any package index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_bento_installs_what_the_project_needs() -> None:
    tomllib = pytest.importorskip("tomllib")
    from ruamel.yaml import YAML

    told = YAML(typ="safe").load((ROOT / "bentofile.yaml").read_text())["python"]["packages"]
    assert told == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


@pytest.mark.slow
def test_a_bento_is_built_offline(tmp_path: Path) -> None:
    dead = "http://127.0.0.1:9"  # nobody listens there: any question to an index fails
    offline = {"PIP_INDEX_URL": dead, "UV_INDEX_URL": dead, "HTTP_PROXY": dead, "HTTPS_PROXY": dead, "NO_PROXY": ""}
    environment = {**os.environ, **offline, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "true"}
    environment.pop("WATCHGATE_CONFIG", None)
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(ROOT)]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert built.returncode == 0, built.stderr
    [source] = tmp_path.glob("bentos/watchgate/*/src")
    packed = {file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()}
    assert {"gateway/service.py", "models/onnx.py", "detectors/base.py", "defenses/base.py"} <= packed
    assert not [name for name in packed if name.startswith((".", "tests", "benchmarks"))]
