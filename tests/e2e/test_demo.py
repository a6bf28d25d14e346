"""`watchgate demo --once`: training, calibration, the real server, real requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port


@pytest.mark.slow
def test_the_demo_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway.cli", "demo", "--once", "--json", "--port", str(free_port())]
    environment = {**os.environ, "BENTOML_DO_NOT_TRACK": "true", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command, "--dir", str(tmp_path)], capture_output=True, text=True, timeout=240, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    outcome = json.loads(ran.stdout)
    assert outcome["as_promised"] is True
    assert outcome["broken"] == []
    sent = {tally["name"]: tally for tally in outcome["requests"]}
    assert all(tally["failed"] == 0 for tally in sent.values())
    assert sent["malformed requests"]["refused"] == sent["malformed requests"]["sent"] >= 12
    assert sent["honest, never seen"]["allowed"] >= 150
    between = sent["PGD between levels"]
    assert between["rejected"] == between["sent"] > 100  # off the lattice that the contract has learned
    _the_traces_open(tmp_path / "watchgate.yaml", outcome["flagged_id"], outcome["rejected_id"])


def _the_traces_open(config: Path, *ids: str) -> None:
    for name in ids:
        command = [sys.executable, "-m", "gateway.cli", "traces", "show", name, "--config", str(config), "--json"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert shown.returncode == 0, shown.stderr
        assert name in shown.stdout
