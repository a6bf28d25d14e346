"""From a config to a bundle and a report, on digits."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from gateway.errors import OperatorError
from gateway.training.calibrate import calibrate
from gateway.training.report import Report
from models.batch import Array
from tests.project import CHAIN, Project


def load(project: Project, name: str) -> dict[str, Array]:
    with np.load(project.folder / name) as file:
        return dict(file)


def save(project: Project, name: str, **arrays: Any) -> None:
    np.savez(project.folder / name, **arrays)


def shown(report: Report) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(report.table())
    return console.export_text()


def test_a_report_says_what_was_promised_and_what_was_measured(project: Project) -> None:
    report = calibrate(project.config(purify=[{"kind": "median", "size": 2}]), "digits")
    assert report.rows == {"reference": 1000, "rank": 279, "calibrate": 359, "check": 159}
    assert report.warnings == ()
    for rate, budget in ((report.measured.flag, 0.05), (report.measured.reject, 0.01)):
        assert rate is not None
        assert 0 < rate.cut.mean_rate <= budget
        assert rate.predicted[0] <= rate.hits <= rate.predicted[1]
        assert rate.interval[0] <= rate.rate <= rate.interval[1]
    assert report.measured.accuracy == pytest.approx(0.9, abs=0.1)
    assert 1.0 < report.measured.passes < 1.2  # a flagged row has one more, through the purifier
    [purifier] = report.measured.purifiers
    assert purifier.accuracy_lost is not None
    text = shown(report)
    for line in ("contract", "doubt: energy", "rows: 1000 reference", "rows to be expected", report.version):
        assert line in text
    assert max(map(len, text.splitlines())) <= 80
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["stages"][3]["when"] == "suspicious"
    assert document["flag"]["hits"] == report.measured.flag.hits  # type: ignore[union-attr]


def test_the_same_config_gives_the_same_version_another_seed_does_not(project: Project) -> None:
    first = calibrate(project.config(), "digits").version
    assert calibrate(project.config(), "digits").version == first
    assert calibrate(project.config(seed=1), "digits").version != first


def test_progress_is_told(project: Project) -> None:
    told: list[str] = []
    calibrate(project.config(), "digits", progress=lambda what, done, of: told.append(f"{what} {done}/{of}"))
    assert told[-1] == "done 1/1"
    assert any(step.startswith("calibrate 359/359") for step in told)


def test_too_few_rows_say_how_many_would_do(project: Project) -> None:
    budget = {"reject": 0.001, "flag": 0.05}
    with pytest.raises(OperatorError, match=r"test\.npz: .* needs 999 .*expected at least 1149 rows, found 797"):
        calibrate(project.config(budget=budget), "digits")
    with pytest.raises(
        OperatorError, match=r"train\.npz: .*at least 1249 rows where one file is reference and holdout, found 1000"
    ):
        calibrate(project.config(budget=budget, holdout=None), "digits")
    assert not (project.folder / "bundle" / "digits").exists()
    assert not list((project.folder / "bundle").iterdir())


def test_a_number_of_rows_it_asks_for_is_enough(project: Project) -> None:
    rows = {name: array[:249] for name, array in load(project, "test.npz").items()}
    save(project, "test.npz", **rows)
    assert calibrate(project.config(), "digits").rows["calibrate"] == 99
    save(project, "test.npz", **{name: array[:248] for name, array in rows.items()})
    with pytest.raises(OperatorError, match="expected at least 249 rows, found 248"):
        calibrate(project.config(), "digits")


def test_a_holdout_with_planted_training_rows_is_warned_of(project: Project) -> None:
    train, test = load(project, "train.npz"), load(project, "test.npz")
    for name, array in test.items():
        array[:80] = train[name][:80]
    save(project, "test.npz", **test)
    [warning] = calibrate(project.config(), "digits").warnings
    assert "the holdout looks like rows the model was trained on: 80 of 797" in warning


@pytest.mark.parametrize(
    ("reference", "saw", "words"),
    [
        ("test.npz", None, "no holdout: the reference was split"),
        ("test.npz", False, None),
        ("test.npz", lambda: True, "NO HOLDOUT, and the model was trained on the reference"),
        ("train.npz", True, "NO HOLDOUT, and the model was trained on the reference"),
        ("train.npz", None, "NO HOLDOUT, and the reference LOOKS like rows the model was trained on"),
        ("train.npz", False, "NO HOLDOUT, and the reference LOOKS like rows the model was trained on"),
    ],
)
def test_without_a_holdout_the_reference_is_split_and_the_risk_told(
    project: Project, reference: str, saw: Any, words: str | None
) -> None:
    config = project.config(holdout=None, reference=project.folder / reference)
    report = calibrate(config, "digits", saw_training=saw)
    assert sum(report.rows.values()) == (797 if reference == "test.npz" else 1000)
    assert report.rows["reference"] >= 398
    assert [warning[: len(words or "")] for warning in report.warnings] == ([words] if words else [])


def test_who_has_a_holdout_is_not_asked(project: Project) -> None:
    def ask() -> bool:
        raise AssertionError("asked")

    calibrate(project.config(), "digits", saw_training=ask)


def test_groups_stay_together(project: Project) -> None:
    test = load(project, "test.npz")
    save(project, "test.npz", **test, user=np.arange(797) // 4)
    report = calibrate(project.config(group="user"), "digits")
    assert sum(report.rows.values()) == 1797


def test_labels_of_other_classes_are_left_out_with_a_note(project: Project) -> None:
    test = load(project, "test.npz")
    save(project, "test.npz", x=test["x"], y=test["y"] + 1)
    report = calibrate(project.config(), "digits")
    assert report.measured.accuracy is None
    assert any("y holds 1 to 10, the model's classes are 0 to 9" in note for note in report.notes)


def test_an_empty_chain_is_measured_too(project: Project) -> None:
    report = calibrate(project.config(chain=[]), "digits")
    assert report.stages == ()
    assert report.measured.flag is None
    assert report.measured.passes == 1.0
    assert "accuracy of the model on check rows" in shown(report)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": {"kind": "onnx", "path": "absent.onnx"}}, r"endpoints\.digits\.model: "),
    ({"reference": "absent.npz"}, r"absent\.npz: no such file"),
    ({"model": {"kind": "onnx", "path": "digits.onnx", "input": {"bounds": [0, 0.5]}}}, r"stated bounds \[0, 0\.5\]"),
    ({"group": "user"}, r"test\.npz: user: expected an array"),
    (
        {"model": {"kind": "onnx", "path": "digits.onnx", "outputs": {"kind": "none"}}},
        r"endpoints\.digits: chain\[2\] \(doubt\): .*logits",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_is_wrong_is_said_in_one_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(project.folder)
    with pytest.raises(OperatorError, match=message) as refused:
        calibrate(project.config(**change), "digits")
    assert "\n" not in str(refused.value)


def test_an_endpoint_that_is_not_there(project: Project) -> None:
    with pytest.raises(OperatorError, match="expected one of digits, found 'letters'"):
        calibrate(project.config(), "letters")


def test_a_shadow_stage_shows_what_it_would_do(project: Project) -> None:
    chain = [*CHAIN[:2], {"kind": "energy", "mode": "shadow"}]
    report = calibrate(project.config(chain=chain), "digits")
    assert report.stages[2].info.shadow
    assert report.stages[2].measured.flags > 0.0
    assert "energy (shadow)" in shown(report)
