"""Exported rows in a real Evidently: the documented snippets, as a reader would run them."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.data import CACHE
from gateway.state.record import Entry
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe
from models.batch import Array
from tests.traffic import honest, info, observe, odd, typical, wild

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text()
CONFIG = "endpoints: {digits: {model: {kind: onnx, path: digits.onnx}, reference: train.npz}}\n"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
}
HOUR_NS = 3600 * 10**9
PROBE = "for each in (windows, flagged): print(each.dict()['metrics'][0]['value']['share'])"


def section() -> str:
    return PAGE.split("### In Evidently")[1].split("\n## ")[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section(), re.DOTALL | re.MULTILINE)


def evidently() -> Path:
    """The Python of an environment with the documented versions; made once, skips where none can be fetched."""
    install = blocks("sh")[0].strip()
    pins = re.findall(r"'([^']+)'", install)
    assert install.startswith("pip install")
    assert [pin.split("=")[0] for pin in pins] == ["evidently", "pandas", "pyarrow"]
    home = CACHE / "-".join(["evidently", *(pin.rpartition("=")[2] for pin in pins)])
    python, done = home / "bin" / "python", home / ".done"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "evidently.lock").open("w") as lock:  # another test process may be making it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins]
            try:
                ran = subprocess.run(command, capture_output=True, text=True, timeout=900)
            except subprocess.TimeoutExpired:
                pytest.skip("Evidently takes longer than 15 min to install here")
            if ran.returncode:
                pytest.skip(f"Evidently can't be installed here: {ran.stderr.strip().splitlines()[-1]}")
            done.touch()
    return python


def at(entry: Entry, hours_ago: float, x: Array | None = None) -> Entry:
    """The entry as of then; a stopped row's values in its table."""
    moment = time.time_ns() - int(hours_ago * HOUR_NS)
    record = msgspec.structs.replace(entry.record, started_ns=moment, ended_ns=moment + 10**6)
    return replace(entry, record=record, arrays={} if x is None else {"input": x})


def fill(folder: Path) -> None:
    """Two days of table traffic: honest rows yesterday, odd and wild ones today."""
    rng = np.random.default_rng(0)
    (folder / "watchgate.yaml").write_text(CONFIG)
    np.savez(folder / "train.npz", x=rng.normal(size=(300, 3)).astype(np.float32))
    entries = [at(describe(observe(row[None]), "off"), 30) for row in honest(60)]
    entries += [at(describe(observe(typical(1))), 2) for _ in range(20)]
    entries += [at(describe(observe(x)), 1, rng.normal(3, 1, (1, 3))) for x in (odd(1), wild(1)) for _ in range(20)]
    store = SqliteStore.open_for_writing(folder / "state")
    store.describe_chain("digits", info().version, {"stages": [], "input": {"kind": "table", "columns": []}})
    store.write(entries)
    store.close()


@pytest.mark.timeout(1200)
def test_the_documented_reports_are_made(tmp_path: Path) -> None:
    python = evidently()
    fill(tmp_path)
    _, exports = blocks("sh")
    for line in exports.splitlines():
        ran = subprocess.run(line, shell=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
    script = "\n".join([*blocks("python"), PROBE])
    ran = subprocess.run(
        [str(python), "-W", "ignore", "-c", script], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    windows, flagged = ran.stdout.split()
    assert float(windows) > 0.5  # of the columns drifted: nearly nothing was stopped the day before
    assert float(flagged) == 1.0
    for name in ("windows.html", "flagged.html"):
        assert "plotly" in (tmp_path / name).read_text().lower()
