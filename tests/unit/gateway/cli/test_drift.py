from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from gateway.tracking.drift.report import DriftStatus
from tests.drifted import SERIES, VERSION, Evaluated, label, track, write_bundle

Run = Callable[..., tuple[int, str, str]]
CONFIG = """
endpoints:
  digits: {model: {kind: onnx, path: digits.onnx}, reference: train.npz, drift: {window: 200}}
  other: {model: {kind: onnx, path: digits.onnx}, reference: train.npz}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "watchgate.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def drifted(config: Path) -> DriftStatus:
    """The last evaluation of rows whose first column has moved."""
    evaluated = Evaluated(config.parent / "state", write_bundle(config.parent), time.time() - 300.0)
    evaluated.go_on(16)
    return evaluated.go_on(12, shift=1.0)


def test_json_is_the_document_that_was_promised(run: Run, config: Path, drifted: DriftStatus) -> None:
    status, out, error = run("drift", config, "--json")
    document = json.loads(out)
    assert (status, error, list(document), list(document["endpoints"])) == (0, "", ["endpoints"], ["digits"])
    told = document["endpoints"]["digits"]
    assert (told["drifted"], told["rows"], told["bundle"], told["late_rows"]) == (True, 1400, VERSION, 0)
    assert told["since"] is not None
    first, *others = told["series"]
    assert {"name", "statistic", "threshold", "drifted", "rows"} <= first.keys()
    assert (first["name"], first["drifted"], first["kind"]) == ("a", True, "shift")
    assert first["statistic"] > first["threshold"] > 0
    assert {one["name"] for one in told["series"]} == set(SERIES)
    calm = [one["statistic"] / one["threshold"] for one in others if not one["drifted"]]
    assert calm == sorted(calm, reverse=True)
    assert {one.name: one.statistic for one in drifted.series}["a"] == first["statistic"]


def test_labels_and_other_detectors_are_told_too(run: Run, config: Path, drifted: DriftStatus) -> None:
    config.write_text(CONFIG.replace("drift: {", "trackers: [{kind: alibi, path: saved, name: mmd}], drift: {"))
    accuracy = label(config.parent / "state")
    track(config.parent / "state")
    told = json.loads(run("drift", config, "--json")[1])["endpoints"]["digits"]
    assert told["accuracy"]["accuracy"] == accuracy.accuracy
    assert told["trackers"] == [{"name": "mmd", "detector": "MMDDrift", "p_values": [0.003], "error": None}]
    assert {"error", "mmd"} | set(SERIES) == {one["name"] for one in told["series"]}
    assert (
        "accuracy 84.0% of the newest 450 labels (95 % interval 80.3% to 87.1%); 95.0% at calibrate"
        in (run("drift", config)[1])
    )


def test_the_table_says_what_moved_farthest_first(run: Run, config: Path, drifted: DriftStatus) -> None:
    status, out, _ = run("drift", config)
    head, columns, first, *_ = out.splitlines()
    assert status == 0
    assert head.startswith("digits: drifted since ")
    assert "1,400 rows evaluated" in head
    assert columns.split() == ["series", "drifted", "since", "kind", "statistic", "threshold", "psi", "rows"]
    assert first.split()[0] == "a"
    assert "shift" in first


@pytest.mark.parametrize("served", [True, False])
def test_an_endpoint_without_data_says_so(run: Run, config: Path, served: bool) -> None:
    write_bundle(config.parent)
    if served:
        other = Evaluated(config.parent / "state", write_bundle(config.parent, "other"), time.time(), endpoint="other")
        other.go_on(8)
    status, out, _ = run("drift", config)
    assert (status, out) == (0, "digits: nothing was evaluated yet: too few rows came\n")
    _, out, _ = run("drift", config, "--json")
    told = json.loads(out)["endpoints"]["digits"]
    assert (told["drifted"], told["since"], told["series"]) == (False, None, [])


def test_no_endpoint_that_is_watched_says_how(run: Run, config: Path) -> None:
    config.write_text(CONFIG.replace(", drift: {window: 200}", ""))
    status, out, error = run("drift", config)
    assert (status, out) == (0, "")
    assert "add `drift: {}`" in error
    assert json.loads(run("drift", config, "--json")[1]) == {"endpoints": {}}
    assert "expected one with `drift` (none has it), found 'digits'" in run("drift", config, "--endpoint", "digits")[2]


def test_a_plot_shows_every_series_with_its_alarm(run: Run, config: Path, drifted: DriftStatus) -> None:
    file = config.parent / "drift.png"
    status, _, error = run("drift", config, "--plot", file)
    assert (status, error) == (0, f"wrote {file}\n")
    with Image.open(file) as picture:
        colors = picture.convert("RGB").getcolors(2**24)
        assert picture.width > 1000
    assert colors is not None
    assert (198, 40, 40) in {color for _, color in colors}  # of an alarm


def test_a_plot_of_a_time_without_evaluations_says_so(run: Run, config: Path, drifted: DriftStatus) -> None:
    file = config.parent / "drift.png"
    status, _, error = run("drift", config, "--plot", file, "--since", "2050-01-01")
    assert (status, file.exists()) == (0, False)
    assert "nothing to draw" in error


def test_a_plot_that_can_not_be_made_is_one_line(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected a name that ends in .png" in run("drift", config, "--plot", "drift.pdf")[2]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "matplotlib" else find(name, *a))
    status, out, error = run("drift", config, "--plot", "drift.png")
    assert (status, out) == (2, "")
    assert error == "watchgate: --plot needs the package matplotlib, found none: pip install 'watchgate[plots]'\n"
