"""`chain: auto` from `init` to a served chain, and `--write`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attacks import making
from attacks.effort import LEAN
from detectors.class_statistics import ClassStatisticsSpec
from detectors.mahalanobis import MahalanobisSpec
from detectors.margin import MarginSpec
from gateway.configfile import read
from gateway.training import trying
from gateway.training.loading import load_endpoints

Run = Callable[..., tuple[int, str, str]]
GIVEN = ("init", "--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pieces to try, in the same way, and fewer rows to attack."""
    monkeypatch.setattr(making, "affordable", lambda model, x, quick: (LEAN, 60))
    pieces = (ClassStatisticsSpec(look="values"), MahalanobisSpec(), MarginSpec())
    monkeypatch.setattr(trying, "everything", lambda spec: pieces)


def test_init_leaves_the_stages_to_calibrate_and_write_lists_them(run: Run, folder: Path) -> None:
    status, text, _ = run(*GIVEN)
    assert status == 0
    assert "chain: auto" in text
    file = folder / "watchgate.yaml"
    assert read(file).endpoints["digits"].selects
    before = file.read_text()
    status, text, error = run("calibrate", "--quick", "--write")
    assert (status, error) == (0, "")
    assert "passes/row" in text
    assert max(map(len, text.splitlines())) <= 80
    written = read(file)
    assert written.endpoints["digits"].chain
    assert load_endpoints(written)["digits"].chain.names == tuple(s.name for s in written.endpoints["digits"].chain)
    kept = [line for line in before.splitlines() if not line.strip().startswith("chain:")]
    assert set(kept) <= set(file.read_text().splitlines())


def test_json_has_the_options_and_the_chain(run: Run, folder: Path) -> None:
    run(*GIVEN)
    status, text, _ = run("calibrate", "--quick", "--json", "--cost", "1.2")
    assert status == 0
    (report,) = json.loads(text)["endpoints"]
    assert report["passes_limit"] == 1.2
    assert report["selection"]["pareto"]["limit"] == 1.2
    assert sum(option["taken"] for option in report["selection"]["pareto"]["options"]) == 1
    assert report["selection"]["chain"][0] == {"kind": "contract"}


def test_select_on_a_listed_chain_asks_for_write(run: Run, folder: Path) -> None:
    run("init", "--listed", *GIVEN[1:])
    status, _, error = run("calibrate", "--select")
    assert status == 2
    assert "add --write, or say `chain: auto` there" in error
