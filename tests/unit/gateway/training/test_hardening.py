"""Rounds of self-play: each adds rows that fool the model, and what learns from them finds such rows better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from defenses.base import Effort
from detectors.base import Reference, View
from detectors.combiner import CombinerSpec
from detectors.custom import CustomSpec
from detectors.energy import EnergySpec
from detectors.mahalanobis import MahalanobisSpec
from gateway.config import StageConfig
from gateway.training.data import Rows
from gateway.training.examples import Made, make
from gateway.training.hardening import harden
from gateway.training.passes import Chunked
from gateway.training.stored import StoredModel
from models.batch import Batch
from models.specs import OnnxSpec, load_model, resolve
from tests import digits


def staged(combiner: CombinerSpec) -> tuple[StageConfig, ...]:
    return (StageConfig(detector=combiner, name="combiner"),)


QUICK = Effort(quick=True)
COMBINER = staged(CombinerSpec(evidence=(MahalanobisSpec(), EnergySpec())))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Reference]:
    folder: Path = tmp_path_factory.mktemp("digits")
    digits.write(folder)
    train, test = np.load(folder / "train.npz"), np.load(folder / "test.npz")
    spec = resolve(OnnxSpec.model_validate({"path": folder / "digits.onnx", "input": {"bounds": [0, 1]}}), train["x"])
    backend = load_model(spec)
    reference = Rows(Batch(train["x"]), train["y"])
    train_rows = Rows(Batch(test["x"][:300]), test["y"][:300])
    made = make(StoredModel(spec, None, backend), train_rows, reference, effort=QUICK)
    return made, Reference(View(reference.batch, Chunked(backend)), backend.spec, reference.y)


def test_each_round_adds_rows_that_fool_the_model(prepared: tuple[Made, Reference]) -> None:
    made, reference = prepared
    hardened = harden(made, COMBINER, reference, rounds=2, budget=0.05, effort=QUICK)
    assert hardened.examples is not None
    assert made.examples is not None
    added = set(hardened.examples.attacked) - set(made.examples.attacked)
    assert added == {"aware-1", "aware-2"}
    assert hardened.notes[-1].startswith("hardened: attacks that know the chain got ")
    for name in added:
        view = hardened.examples.attacked[name]
        np.testing.assert_allclose(view.x * 16, np.rint(view.x * 16), atol=1e-4)


def test_no_rounds_and_no_examples_change_nothing(prepared: tuple[Made, Reference]) -> None:
    made, reference = prepared
    assert harden(made, COMBINER, reference, rounds=0, budget=0.05) is made
    nothing = Made(None, ("no attacks",))
    assert harden(nothing, COMBINER, reference, rounds=3, budget=0.05) is nothing
    asked = harden(replace(made, sources=None), COMBINER, reference, rounds=3, budget=0.05)
    assert asked.notes[-1] == "not hardened: that takes gradients of the model"


def test_stages_without_a_gradient_are_told(prepared: tuple[Made, Reference]) -> None:
    made, reference = prepared
    own = CustomSpec.model_validate({"kind": "custom", "spec": "tests.unattackable:UnattackableSpec"})
    found = harden(made, staged(CombinerSpec(evidence=(own,))), reference, rounds=1, budget=0.05, effort=QUICK)
    assert found.notes[-2] == "hardened without gradients of combiner: the attack could only ask it"


def test_too_few_rows_are_told(prepared: tuple[Made, Reference]) -> None:
    made, reference = prepared
    found = harden(made, COMBINER, reference, rounds=1, budget=0.001, effort=QUICK)
    assert found.notes[-1].startswith("not hardened: budget: ")
    assert replace(found, notes=made.notes) == made
