from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def started(run: Run, folder: Path) -> Path:
    run("init", "--listed", "--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    return folder


def test_it_prints_a_table_that_fits_and_writes_the_bundle(run: Run, started: Path) -> None:
    status, text, error = run("calibrate")
    assert (status, error) == (0, "")
    assert "feature_squeezing" in text
    assert max(map(len, text.splitlines())) <= 80
    assert (started / "bundle/digits/manifest.json").is_file()


def test_json_is_one_document(run: Run, started: Path) -> None:
    status, text, error = run("calibrate", "--json", "--endpoint", "digits")
    assert (status, error) == (0, "")
    (report,) = json.loads(text)["endpoints"]
    assert report["endpoint"] == "digits"
    assert report["reject"]["budget"] == 0.01


def test_an_unknown_endpoint(run: Run, started: Path) -> None:
    expected = "watchgate: --endpoint: expected one of digits, found 'letters'\n"
    assert run("calibrate", "--endpoint", "letters") == (2, "", expected)


def test_a_missing_file_is_told_with_its_line(run: Run, started: Path) -> None:
    (started / "test.npz").unlink()
    line = next(
        number
        for number, text in enumerate((started / "watchgate.yaml").read_text().splitlines(), start=1)
        if text.strip().startswith("holdout:")
    )
    status, _, error = run("calibrate")
    assert status == 2
    assert error == (
        f"watchgate: watchgate.yaml:{line}: endpoints.digits.holdout: expected a file, found no such file: "
        f"{started / 'test.npz'}\n"
    )


def test_a_budget_without_the_rows_for_it_is_refused(run: Run, started: Path) -> None:
    file = started / "watchgate.yaml"
    file.write_text(file.read_text().replace("reject: 0.01 ", "reject: 0.001 "))
    status, text, error = run("calibrate", "--json")
    assert (status, text) == (2, "")
    assert "needs 999 calibrate rows" in error
    assert not (started / "bundle/digits").exists()


def test_from_traffic_sets_thresholds_and_nothing_else(run: Run, started: Path) -> None:
    expected = "watchgate: --from-traffic: sets thresholds and nothing else: leave --harden, --select and --cost out\n"
    assert run("calibrate", "--from-traffic", "--select") == (2, "", expected)
    status, _, error = run("calibrate", "--from-traffic")
    assert status == 2
    assert "has no bundle; run `watchgate calibrate`" in error
