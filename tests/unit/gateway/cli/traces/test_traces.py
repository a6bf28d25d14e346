from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from gateway.cli.traces.app import app
from gateway.errors import OperatorError
from gateway.state.sqlite import FILE, SqliteStore
from gateway.telemetry.describe import describe, facts_of
from gateway.telemetry.observation import Observation
from tests.traffic import NOT_SAMPLED, failed, info, observe, odd, typical, wild

CONFIG = """
endpoints:
  digits:
    model: {kind: onnx, path: digits.onnx}
    reference: train.npz
state: {path: kept/}
"""


@pytest.fixture
def traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    """A folder whose gateway has seen a mixed batch, a shadowed row, a failure and a clean row, in this order."""
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    seen = [
        observe(np.concatenate([typical(3), odd(1), wild(1)]), traceparent=NOT_SAMPLED),
        observe(wild(1), shadow=True, endpoint="watched", principal="2001:db8:85a3::8a2e:370:7334"),
        failed(),
        observe(typical(1)),
    ]
    store = SqliteStore.open_for_writing(tmp_path / "kept")
    store.describe_chain("digits", info().version, facts_of(info()))
    store.write([describe(one) for one in seen])
    store.close()
    return seen


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def listed(*arguments: str) -> list[str]:
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0
    return [trace["id"] for trace in json.loads(result.stdout)["traces"]]


def test_a_list_fits_eighty_columns(traffic: list[Observation]) -> None:
    result = run("list")
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[2] for line in lines[1:4]] == [one.id[:8] for one in (traffic[2], traffic[1], traffic[0])]
    assert "reject*" in lines[2]
    assert "2/5" in lines[3]


def test_filters_and_pages(traffic: list[Observation]) -> None:
    mixed, watched, broken, clean = (one.id for one in traffic)
    assert listed() == [broken, watched, mixed]
    assert listed("--verdict", "allow") == [clean]
    assert listed("--verdict", "reject") == [watched, mixed]
    assert listed("--verdict", "error", "--verdict", "allow") == [clean, broken]
    assert listed("--endpoint", "watched") == [watched]
    assert listed("--stage", "broken") == [broken]
    assert listed("--principal", "192.0.2.7") == [broken, mixed]
    assert listed("--since", "10m") == [broken, watched, mixed]
    assert listed("--until", "10m") == []
    page = json.loads(run("list", "--json", "--limit", "2").stdout)
    assert [trace["id"] for trace in page["traces"]] == [broken, watched]
    assert page["next"] == watched
    assert listed("--after", page["next"]) == [mixed]


def test_json_is_all_there_is_on_stdout(traffic: list[Observation], tmp_path: Path) -> None:
    for arguments in (
        ["list", "--json"],
        ["show", traffic[0].id, "--json", "--save", str(tmp_path / "pictures")],
        ["export", str(tmp_path / "rows.jsonl"), "--json"],
    ):
        assert isinstance(json.loads(run(*arguments).stdout), dict)


def test_a_trace_is_understood(traffic: list[Observation]) -> None:
    result = run("show", traffic[0].id[:7])
    assert result.exit_code == 0
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    text = " ".join(result.stdout.split())
    for part in (
        "Row 4 was rejected on the evidence of brightness. It scored 0.49",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "input sha256",
        "< decided",
        "kept: 2 suspicious rows",
        "after purifying",
        traffic[0].id,
    ):
        assert part in text
    assert "Row 3 was flagged" in " ".join(run("show", traffic[0].id, "--row", "3").stdout.split())


def test_a_trace_as_json(traffic: list[Observation]) -> None:
    document = json.loads(run("show", traffic[0].id, "--json").stdout)
    assert document["verdict"] == "reject"
    assert [stage["name"] for stage in document["stages"]] == ["brightness", "margin"]
    assert document["stages"][1]["scores"][0] is None
    assert document["row_evidence"][3]["after"]["label"] is not None
    assert document["summary"].startswith("5 rows, 1 rejected and 1 flagged.")


def test_a_failed_request_is_shown(traffic: list[Observation]) -> None:
    assert "stage 'broken' raised RuntimeError: no evidence today" in " ".join(
        run("show", traffic[2].id).stdout.split()
    )


def test_pictures_and_arrays_are_saved(traffic: list[Observation], tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    document = json.loads(run("show", traffic[0].id, "--save", str(folder), "--json").stdout)
    stem = traffic[0].id[:8]
    names = {f"{stem}-row3-{kind}.png" for kind in ("input", "purified", "difference")} | {f"{stem}-row4-input.png"}
    assert {path.name for path in folder.iterdir()} == names | {f"{stem}.npz"}
    assert sorted(document["saved"]) == sorted(str(path) for path in folder.iterdir())
    with Image.open(folder / f"{stem}-row4-input.png") as picture:
        assert picture.size == (256, 256)
        assert picture.getpixel((0, 0)) == round(0.99 * 255)
    with np.load(folder / f"{stem}.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["row"], [3, 4])
        np.testing.assert_array_equal(arrays["input"], np.concatenate([odd(1), wild(1)]))


def test_rows_are_exported(traffic: list[Observation], tmp_path: Path) -> None:
    assert json.loads(run("export", str(tmp_path / "r.npz"), "--json").stdout)["rows"] == 3
    with np.load(tmp_path / "r.npz", allow_pickle=False) as columns:
        assert columns["x"].shape == columns["purified"].shape == (3, 1, 4, 4)
        assert columns["verdict"].tolist() == ["reject", "flag", "reject"]
        assert columns["id"].tolist() == [traffic[1].id, traffic[0].id, traffic[0].id]
        assert columns["row"].tolist() == [0, 3, 4]
        np.testing.assert_allclose(columns["purified"][1], odd(1)[0] * 0.5 + 0.25)
    run("export", str(tmp_path / "r.jsonl"), "--endpoint", "digits")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [row["verdict"] for row in rows] == ["flag", "reject"]
    np.testing.assert_allclose(rows[1]["x"], wild(1)[0])
    assert rows[1]["purified"] is None
    assert not list(tmp_path.glob("*.part"))


def test_nothing_to_export_is_an_empty_file(traffic: list[Observation], tmp_path: Path) -> None:
    for name in ("r.npz", "r.jsonl"):
        document = json.loads(run("export", str(tmp_path / name), "--endpoint", "none", "--json").stdout)
        assert document["rows"] == 0
        assert (tmp_path / name).exists()


def test_mistakes_are_one_line(traffic: list[Observation], tmp_path: Path) -> None:
    for arguments, complaint in (
        (["export", "rows.csv"], "expected a name that ends in .npz, .jsonl or .parquet"),
        (["list", "--since", "soon"], "--since: expected an age"),
        (["show", traffic[0].id, "--row", "77"], "--row: expected one of the 5 rows kept, found 77"),
        (["show", traffic[2].id, "--save", "x"], "its rows are not kept"),
        (["list", "--config", "absent.yaml"], "absent.yaml: no such file"),
    ):
        with pytest.raises(OperatorError, match=complaint):
            run(*arguments)


def test_an_unknown_trace_is_the_answer_no(traffic: list[Observation]) -> None:
    result = run("show", "zz")
    assert result.exit_code == 1
    assert "no trace has an id that starts with 'zz'" in result.stderr
    assert result.stdout == ""


def test_what_callers_wrote_cannot_move_the_cursor(traffic: list[Observation], tmp_path: Path) -> None:
    nasty = replace(observe(wild(1)), user_agent="a\x1b[2Jb\r[red]c", request_id="\x9b31m\u202e")
    store = SqliteStore.open_for_writing(tmp_path / "kept")
    store.write([describe(nasty)])
    store.close()
    for arguments in (["show", nasty.id], ["list"]):
        shown = run(*arguments).stdout
        assert not any(ord(character) < 32 and character != "\n" for character in shown)
        assert "\x9b" not in shown
        assert "\u202e" not in shown
    assert "[red]c" in run("show", nasty.id).stdout
    json.loads(run("show", nasty.id, "--json").stdout)


def test_filters_by_class_and_input(traffic: list[Observation]) -> None:
    mixed, watched, *_ = (one.id for one in traffic)
    shown = {trace["id"]: trace for trace in json.loads(run("list", "--json").stdout)["traces"]}
    label = shown[mixed]["label"]
    assert shown[watched]["label"] == label  # the most suspicious row of both is the same
    assert listed("--label", str(label)) == [watched, mixed]
    assert listed("--label", "77") == []
    assert listed("--digest", shown[mixed]["digest"]) == [mixed]


def test_marks_are_set_shown_and_lifted(traffic: list[Observation]) -> None:
    mixed = traffic[0].id
    assert run("mark", mixed[:8], "honest", "--note", "a colleague").exit_code == 0
    assert json.loads(run("show", mixed, "--json").stdout)["mark"]["note"] == "a colleague"
    assert "marked: honest (a colleague)" in run("show", mixed).stderr
    marks = {trace["id"]: trace["mark"] for trace in json.loads(run("list", "--json").stdout)["traces"]}
    assert marks[mixed] == "honest"
    assert [word for word in marks.values() if word] == ["honest"]
    assert run("mark", mixed, "none").exit_code == 0
    assert json.loads(run("show", mixed, "--json").stdout)["mark"] is None
    assert run("mark", "0000", "attack").exit_code == 1


def test_an_older_releases_store_is_read_but_not_searched_by_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watchgate.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    db = sqlite3.connect(tmp_path / "kept" / FILE)
    db.executescript((Path(__file__).parents[2] / "state" / "version1.sql").read_text())
    db.close()
    assert json.loads(run("list", "--json").stdout)["traces"] == []
    with pytest.raises(OperatorError, match="an older release wrote the trace store"):
        run("list", "--label", "1")
