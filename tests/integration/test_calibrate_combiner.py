"""A chain with a combiner goes through `calibrate`, learns from attacks, and finds new ones from its bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.config import Config
from gateway.training.calibrate import calibrate
from gateway.training.learning import Learning
from gateway.training.loading import load_endpoints
from gateway.training.report import Report
from gateway.verdict import Action
from models.batch import Array, Batch
from tests import digits, tiny
from tests.project import Project

CHAIN = [{"kind": "contract"}, {"kind": "combiner"}]


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Report]:
    folder = tmp_path_factory.mktemp("digits")
    digits.write(folder)
    config = Project(folder).config(chain=CHAIN)
    return config, calibrate(config, "digits", learning=Learning(quick=True, harden=1))


def attacked(x: Array, epsilon: float = 4 / 16) -> Batch:
    """One signed step, on the gray levels of real scans, kept where it fools the model."""
    net = tiny.image().net
    before = np.asarray(net.predict(Batch(x)).logits).argmax(axis=1)
    moved = np.clip(x + epsilon * np.sign(net.gradient(x, before)), 0.0, 1.0)
    rows = (np.rint(moved * 16) / 16).astype(np.float32)
    after = np.asarray(net.predict(Batch(rows)).logits).argmax(axis=1)
    return Batch(rows[after != before])


def test_train_rows_are_set_aside_and_the_report_says_what_was_learned(calibrated: tuple[Config, Report]) -> None:
    _, report = calibrated
    assert report.rows["train"] >= 100
    assert sum(report.rows[part] for part in ("train", "rank", "calibrate", "check")) == 797
    assert any(note.startswith("trained on ") and " by pgd" in note for note in report.notes)
    assert any(note.startswith("hardened: attacks that know the chain got ") for note in report.notes)
    notes = next(stage.notes for stage in report.stages if stage.kind == "combiner")
    assert any("what finds attacks comes from" in note for note in notes)


def test_the_budget_is_kept_and_new_attacks_are_found_from_the_bundle(calibrated: tuple[Config, Report]) -> None:
    config, report = calibrated
    assert report.measured.flag is not None
    assert report.measured.flag.as_predicted
    chain = load_endpoints(config)["digits"].chain
    x = np.load(config.endpoints["digits"].holdout or "")["x"]
    found = chain.run(attacked(x)).verdicts.actions >= int(Action.FLAG)
    honest = chain.run(Batch(x)).verdicts.actions >= int(Action.FLAG)
    assert found.mean() > 0.4
    assert found.mean() > 5 * honest.mean()


def test_too_small_a_holdout_learns_nothing_and_says_so(tmp_path: Path) -> None:
    digits.write(tmp_path)
    with np.load(tmp_path / "test.npz") as file:
        np.savez(tmp_path / "test.npz", x=file["x"][:300], y=file["y"][:300])
    report = calibrate(Project(tmp_path).config(chain=CHAIN), "digits", learning=Learning(quick=True))
    assert "train" not in report.rows
    assert any("the holdout is too small" in note for note in report.notes)
    (notes,) = (stage.notes for stage in report.stages if stage.kind == "combiner")
    assert "had no attacks to learn from" in notes[0]


def test_a_chain_without_a_combiner_sets_no_rows_aside(tmp_path: Path) -> None:
    digits.write(tmp_path)
    report = calibrate(Project(tmp_path).config(chain=[{"kind": "contract"}, {"kind": "mahalanobis"}]), "digits")
    assert "train" not in report.rows
