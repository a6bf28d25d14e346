"""`watchgate explain`, over a chain that is calibrated once."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gateway.configfile import read
from gateway.endpoint import Endpoint
from gateway.state.sqlite import SqliteStore
from gateway.telemetry.describe import describe, facts_of
from gateway.telemetry.observation import Observation
from gateway.training.calibrate import calibrate
from gateway.training.loading import load_endpoints
from models.batch import Array, Batch
from tests import digits, tiny
from tests.project import to_onnx

Run = Callable[..., tuple[int, str, str]]

IMAGE = """
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx, input: {bounds: [0, 1]}}
    reference: train.npz
    holdout: test.npz
    budget: {flag: 0.1, reject: 0.05}
    chain:
      - {kind: contract, range: false}
      - {kind: combiner, evidence: [{kind: margin}, {kind: energy}, {kind: nearest}]}
      - {kind: mahalanobis, when: suspicious, share: 0.2}
    purify: [{kind: median, size: 2}]
"""
TABLE = """
endpoints:
  rows:
    model: {kind: onnx, path: rows.onnx, input: {kind: table}}
    reference: train.npz
    holdout: test.npz
    budget: {flag: 0.1, reject: 0.05}
    chain: [{kind: contract, lattice: false}, {kind: mahalanobis}]
"""


def _calibrated(folder: Path, text: str) -> Endpoint:
    (folder / "watchgate.yaml").write_text(text)
    config = read(folder / "watchgate.yaml", need_files=True)
    (name,) = config.endpoints
    calibrate(config, name)
    return load_endpoints(config)[name]


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained")
    digits.write(folder)
    with np.load(folder / "test.npz") as test:
        few = {name: test[name][:180] for name in test.files}  # too few to learn from attacks, which takes its time
    np.savez(folder / "test.npz", **few)
    _calibrated(folder, IMAGE)
    np.savez(folder / "rows.npz", x=np.concatenate([rows(honest=True)[:2], rows(honest=False)[:6]]))
    np.savez(folder / "wild.npz", x=np.full((1, 1, 8, 8), 7.0, dtype=np.float32))
    return folder


def rows(*, honest: bool) -> Array:
    case = tiny.image()
    x = case.rows.x if honest else tiny._signed(case.net, case.rows.x, np.zeros(len(case.rows), dtype=int), -0.3)
    return np.asarray(np.rint(np.clip(x, 0.0, 1.0) * 16.0) / 16.0, dtype=np.float32)


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(image_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(name: str) -> Image.Image:
    with Image.open(name) as file:
        return file.copy()


def explained(run: Run, *arguments: str) -> list[dict[str, object]]:
    status, out, _ = run("explain", "--json", *arguments)
    assert status == 0
    found: list[dict[str, object]] = json.loads(out)["rows"]
    return found


def test_the_text_says_who_decided_and_why(run: Run, folder: Path) -> None:
    suspicious = next(row for row in explained(run, "rows.npz") if row["verdict"] != "allow")
    status, out, _ = run("explain", "rows.npz", "--row", str(suspicious["number"]))
    assert status == 0
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80
    assert out.startswith(f"{suspicious['verdict']}  digits  rows.npz row {suspicious['number']}")
    assert "< decided" in out
    assert "the largest counts in combiner" in out
    assert "Rows are flagged below" in out


def test_the_figures_are_those_of_the_chain(run: Run, folder: Path) -> None:
    endpoint = load_endpoints(read(folder / "watchgate.yaml"))["digits"]
    x = np.load(folder / "rows.npz")["x"]
    verdicts = endpoint.chain.run(Batch(x)).verdicts
    for found, row in zip(explained(run, "rows.npz"), range(len(x)), strict=True):
        verdict = verdicts[row]
        assert found["verdict"] == verdict.action.word
        for stage in found["stages"]:  # type: ignore[attr-defined]
            score = verdict.scores[stage["name"]]
            assert stage["score"] == (pytest.approx(score, rel=1e-4) if np.isfinite(score) else None)
            assert stage["honest_median"] is None or stage["honest_median"] <= stage["honest_1_in_100"]


def test_the_largest_piece_is_the_combiners_score(run: Run, folder: Path) -> None:
    combined = [row["stages"][1] for row in explained(run, "rows.npz")]  # type: ignore[index]
    for stage in combined:
        adds = [piece["adds"] for piece in stage["pieces"]]
        assert adds == sorted(adds, reverse=True)
        assert stage["score"] == pytest.approx(adds[0], abs=1e-4)
    assert len({stage["pieces"][0]["name"] for stage in combined}) > 1


def test_a_row_that_the_model_never_saw(run: Run, folder: Path) -> None:
    status, out, _ = run("explain", "wild.npz", "--figure", "wild.png")
    assert status == 0
    assert "certain" in out
    assert "not reached" in out
    assert "The model was not asked." in out
    assert picture("wild.png").width == 900


def test_the_figure_shows_the_row_and_the_purified_one(run: Run, folder: Path) -> None:
    status, _, err = run("explain", "rows.npz", "--row", "5", "--figure", "row.png")
    assert (status, err.strip()) == (0, "wrote row.png")
    pixels = np.asarray(picture("row.png").convert("L"), dtype=np.float64)
    x = np.load("rows.npz")["x"][5, 0]
    top = next(
        y for y in range(60, 300) if (pixels[y, 24:280] == pixels[y, 24]).mean() < 1.0 and _picture(pixels, y, x)
    )
    purified = pixels[top + 16 : top + 256 : 32, 24 + 286 + 16 : 24 + 286 + 256 : 32]
    assert purified.shape == (8, 8)
    assert np.abs(purified - 255.0 * x).max() > 10.0
    assert np.abs(purified - 255.0 * x).mean() < 80.0


def _picture(pixels: Array, y: int, x: Array) -> bool:
    """Whether the row's picture, 256 pixels wide, begins at this height."""
    shown = pixels[y + 16 : y + 256 : 32, 24 + 16 : 24 + 256 : 32]
    return shown.shape == (8, 8) and bool(np.abs(shown - np.rint(255.0 * x)).max() <= 1.0)


def test_a_stored_trace(run: Run, folder: Path) -> None:
    config = read(folder / "watchgate.yaml")
    endpoint = load_endpoints(config)["digits"]
    judged = endpoint.chain.run(Batch(np.load("rows.npz")["x"]))
    seen = Observation("ab" * 16, endpoint.info, time.time_ns(), time.time_ns(), "127.0.0.1", "/predict", 200, judged)
    entry = describe(seen)
    store = SqliteStore.open_for_writing(config.state.path)
    store.describe_chain("digits", endpoint.chain.version, facts_of(endpoint.info))
    store.write([entry])
    store.close()
    kept = list(entry.record.captured)
    assert kept
    found = explained(run, "--trace", "abab")
    assert [row["number"] for row in found] == kept
    evidence = {row.row: row for row in entry.record.row_evidence}
    assert all(row["verdict"] == evidence[row["number"]].verdict for row in found)  # type: ignore[index]
    status, out, _ = run("explain", "--trace", "abab", "--row", str(kept[0]))
    assert status == 0
    assert "trace abababab row" in out
    assert run("explain", "--trace", "ffff")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "expected either a file with rows or --trace ID"),
        (("rows.npz", "--trace", "ab"), "expected either a file with rows or --trace ID"),
        (("rows.npz", "--row", "99"), "--row: expected one of 0 to 7, found 99"),
        (("rows.npz", "--figure", "a.png"), "--row: a figure shows one row, expected one of 0 to 7"),
        (("rows.npz", "--row", "0", "--figure", "a.pdf"), "--figure: expected a name that ends in .png, found 'a.pdf'"),
        (("none.npz",), "none.npz: no such file"),
        (("rows.npz", "--endpoint", "other"), "--endpoint: expected one of digits, found other"),
    ],
)
def test_mistakes(run: Run, folder: Path, arguments: tuple[str, ...], says: str) -> None:
    status, _, err = run("explain", *arguments)
    assert (status, err.strip()) == (2, f"watchgate: {says}")


def test_a_table_shows_its_farthest_columns(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case = tiny.table()
    to_onnx(case.net, tmp_path / "rows.onnx")
    x = case.reference.view.x
    np.savez("train.npz", x=x[:500])
    np.savez("test.npz", x=np.concatenate([x[500:], case.rows.x]))
    _calibrated(tmp_path, TABLE)
    odd = case.rows.x[:1].copy()
    odd[0, 20] = 50.0
    np.savez("odd.npz", x=odd)
    status, out, _ = run("explain", "odd.npz", "--figure", "odd.png")
    assert status == 0
    assert "columns farthest from the reference" in out
    farthest = out.split("columns farthest from the reference")[1].splitlines()[2].split()
    assert farthest[:2] == ["x[20]", "50"]
    assert picture("odd.png").height > 400
    Path("train.npz").unlink()
    _, out, _ = run("explain", "odd.npz")
    assert "columns are not compared: " in out
