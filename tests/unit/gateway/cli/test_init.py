from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from gateway.cli.output import program
from gateway.configfile import read
from gateway.training.loading import load_endpoints

Run = Callable[..., tuple[int, str, str]]
GIVEN = ("init", "--listed", "--model", "digits.onnx", "--reference", "train.npz")


def test_what_it_writes_calibrates_and_loads_as_it_is(run: Run, folder: Path) -> None:
    status, text, error = run(*GIVEN, "--holdout", "test.npz")
    assert (status, error) == (0, "")
    assert text.splitlines()[-1] == f"next: {program()} calibrate"
    config = read(folder / "watchgate.yaml", need_files=True)
    endpoint = config.endpoints["digits"]
    assert [stage.name for stage in endpoint.chain] == [
        "contract",
        "input_statistics",
        "mahalanobis",
        "nearest",
        "margin",
        "energy",
        "feature_squeezing",
    ]
    assert [stage.when for stage in endpoint.chain] == ["always"] * 6 + ["suspicious"]
    assert tuple(endpoint.model.input.bounds or ()) == (0.0, 1.0)
    assert endpoint.model.input.layout == "NCHW"
    assert (endpoint.budget.flag, endpoint.budget.reject) == (0.05, 0.01)
    assert run("calibrate")[0] == 0
    assert load_endpoints(config)["digits"].chain.names == tuple(stage.name for stage in endpoint.chain)


def test_every_line_with_a_value_a_person_may_change_is_explained(run: Run, folder: Path) -> None:
    run(*GIVEN, "--holdout", "test.npz")
    lines = (folder / "watchgate.yaml").read_text().splitlines()
    for key in ("flag:", "reject:", "bounds:", "kind: image", "mode:", "disclose", "otlp", "sample_clean", "- {kind:"):
        at = next(index for index, line in enumerate(lines) if line.strip().startswith(key))
        assert "# " in lines[at] or lines[at - 1].strip().startswith("#"), lines[at]
    assert max(map(len, lines)) <= 110


def test_json_is_one_document(run: Run, folder: Path) -> None:
    status, text, error = run(*GIVEN, "--json")
    assert status == 0
    document = json.loads(text)
    assert document["endpoint"] == "digits"
    assert document["input"] == {"kind": "image", "dtype": "float32", "shape": [1, 8, 8]}
    assert document["stages"][0] == "contract"
    assert error == f"note: {document['notes'][0]}\n"
    assert "no holdout" in error


def test_an_existing_file_is_replaced_only_by_force(run: Run, folder: Path) -> None:
    file = folder / "watchgate.yaml"
    file.write_text("mine")
    assert run(*GIVEN) == (2, "", "watchgate: watchgate.yaml: exists already; --force replaces it\n")
    assert file.read_text() == "mine"
    assert run(*GIVEN, "--force")[0] == 0
    assert "endpoints:" in file.read_text()


def test_paths_are_relative_to_the_file_that_names_them(run: Run, folder: Path) -> None:
    (folder / "conf").mkdir()
    assert run(*GIVEN, "--holdout", "test.npz", "--output", "conf/w.yaml")[0] == 0
    assert "path: ../digits.onnx" in (folder / "conf/w.yaml").read_text()
    assert read(folder / "conf/w.yaml", need_files=True).endpoints["digits"].holdout == folder / "conf/../test.npz"


@pytest.mark.parametrize(
    ("file", "option", "name"),
    [
        ("my model (2).onnx", None, "my-model-2"),
        ("7.onnx", None, "7"),
        ("true.onnx", None, "true"),
        ("digits.onnx", "other", "other"),
    ],
)
def test_the_endpoints_name(file: str, option: str | None, name: str, run: Run, folder: Path) -> None:
    (folder / "digits.onnx").rename(folder / file)
    named = [] if option is None else ["--name", option]
    assert run("init", "--listed", "--model", file, "--reference", "train.npz", *named)[0] == 0
    assert list(read(folder / "watchgate.yaml", need_files=True).endpoints) == [name]


def test_few_rows_get_a_budget_that_they_support(run: Run, folder: Path) -> None:
    with np.load("test.npz") as rows:
        np.savez("test.npz", x=rows["x"][:170], y=rows["y"][:170])
    status, _, error = run(*GIVEN, "--holdout", "test.npz")
    assert status == 0
    assert (
        error == "note: 170 rows to set thresholds on are too few for a reject budget of 0.01: the config says 0.05\n"
    )
    assert read(folder / "watchgate.yaml").endpoints["digits"].budget.reject == 0.05
    assert run("calibrate")[0] == 0


def test_a_reference_without_holdout_supports_what_init_says(run: Run, folder: Path) -> None:
    """The smallest file for the usual budget, and one row less."""
    with np.load("train.npz") as rows:
        x, y = rows["x"], rows["y"]
    for n, reject in ((349, 0.01), (348, 0.02)):
        np.savez("train.npz", x=x[:n], y=y[:n])
        assert run(*GIVEN, "--force")[0] == 0
        assert read(folder / "watchgate.yaml").endpoints["digits"].budget.reject == reject
        assert run("calibrate", "--untrained")[0] == 0


def test_a_table_model_gets_what_suits_tables(run: Run, folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 5)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    model = to_onnx(LogisticRegression().fit(x[:200], y[:200]), x[:1])
    (folder / "table.onnx").write_bytes(model.SerializeToString())
    np.savez("rows.npz", x=x[200:], y=y[200:])
    assert run("init", "--listed", "--model", "table.onnx", "--reference", "rows.npz")[0] == 0
    endpoint = read(folder / "watchgate.yaml").endpoints["table"]
    assert endpoint.model.input.kind == "table"
    assert endpoint.model.input.bounds is None
    assert [stage.name for stage in endpoint.chain] == [
        "contract",
        "input_statistics",
        "mahalanobis",
        "nearest",
        "margin",
    ]
    assert endpoint.purify == ()
    assert run("calibrate", "--untrained")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "no.onnx"], "no.onnx: expected a model file, found no such file"),
        (["--model", "."], ".: expected a model file, found a folder"),
        (["--model", "train.npz"], "train.npz: expected a file that ends in .onnx, .pt2, .safetensors, found '.npz'"),
        (
            ["--model", "w.safetensors"],
            "w.safetensors: a .safetensors file needs --factory (./net.py:make or pkg.mod:make)",
        ),
        (["--model", "digits.onnx", "--factory", "a:b"], "digits.onnx: a .onnx file takes no --factory"),
        (["--model", "digits.onnx", "--holdout", "no.npz"], "no.npz: no such file"),
        (
            ["--model", "digits.onnx", "--holdout", "few.npz"],
            "expected at least 159 honest rows to set thresholds on, found 158",
        ),
        (["--model", "broken.onnx"], None),
    ],
)
def test_mistakes(arguments: list[str], complaint: str | None, run: Run, folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(b"")
    (folder / "broken.onnx").write_bytes(b"no model")
    np.savez("few.npz", x=np.zeros((158, 1, 8, 8), np.float32))
    status, text, error = run("init", "--reference", "train.npz", *arguments)
    assert (status, text) == (2, "")
    assert len(error.splitlines()) == 1
    assert complaint is None or error == f"watchgate: {complaint}\n"
    assert not (folder / "watchgate.yaml").exists()
