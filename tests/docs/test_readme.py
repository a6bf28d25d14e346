"""The README's own-model example, block by block, as a reader would type it; and the pages' links and YAML."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from gateway.config import EndpointConfig
from tests.command import serving
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "BENTOML_DO_NOT_TRACK": "true",
    "OMP_NUM_THREADS": "1",
}


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell(line: str, folder: Path) -> str:
    ran = subprocess.run(
        line, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's calls need curl")
def test_the_own_model_example_runs_as_printed(tmp_path: Path) -> None:
    make, (_, commands, calls, looks) = blocks("python")[0], blocks("sh")
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=120)
    *prepare, serve = [line for line in commands.splitlines() if line]
    for line in prepare:
        shell(line, tmp_path)
    assert serve.startswith("watchgate serve ")
    port = free_port()
    with serving(tmp_path, port, "clf"):
        metadata, answer = [
            json.loads(shell(line.replace(":3000", f":{port}"), tmp_path)) for line in calls.splitlines()
        ]
        assert metadata["name"] == "clf"
        assert "outputs" in answer
        foreign = urllib.request.Request(
            f"http://127.0.0.1:{port}/predict",
            json.dumps({"x": [[1e9] * 30]}).encode(),
            {"content-type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(foreign, timeout=20)
        assert refused.value.code == 403
        trace = refused.value.headers["x-watchgate-id"]
        refused.value.close()
        assert trace
    listed, shown = looks.splitlines()
    assert trace[:8] in shell(listed, tmp_path)
    assert "contract" in shell(shown.replace(" ID ", f" {trace} "), tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_example_config_is_one() -> None:
    found = yaml.safe_load(blocks("yaml", (ROOT / "docs/configure.md").read_text())[0])
    for endpoint in found["endpoints"].values():
        assert EndpointConfig.model_validate(endpoint).chain


def test_every_kind_is_documented() -> None:
    text = (ROOT / "docs/configure.md").read_text()
    kinds = {path.stem for room in ("defenses", "detectors") for path in (ROOT / room).glob("*.py")}
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    schema = json.dumps(EndpointConfig.model_json_schema())
    offered = {kind for kind in kinds if f'"const": "{kind}"' in schema}
    assert offered <= documented, offered - documented
