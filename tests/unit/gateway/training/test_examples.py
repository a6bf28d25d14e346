"""Attacks made to learn from: they fool the model that will be served, and could really be sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from detectors.examples import Examples
from gateway.training.corruptions import WEARS
from gateway.training.data import Rows
from gateway.training.examples import Made, make
from gateway.training.wearing import Wear
from models.batch import Batch
from models.specs import ModelSpec, OnnxSpec, load_model, resolve
from tests import digits

ATTACKS = {"fgsm", "pgd", "apgd", "carlini_wagner", "carlini_wagner_sure", "boundary", "patches"}


def project(folder: Path) -> tuple[ModelSpec, Rows, Rows]:
    digits.write(folder)
    train, test = np.load(folder / "train.npz"), np.load(folder / "test.npz")
    spec = resolve(OnnxSpec.model_validate({"path": folder / "digits.onnx", "input": {"bounds": [0, 1]}}), train["x"])
    return spec, Rows(Batch(test["x"][:300]), test["y"][:300]), Rows(Batch(train["x"]), train["y"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, ModelSpec]:
    spec, train, reference = project(tmp_path_factory.mktemp("digits"))
    backend = load_model(spec)
    wear = Wear.learn(reference.batch, backend, 0)
    return make(spec, None, backend, train, reference, wear=wear, quick=True), spec


def test_every_attack_fools_the_backend_on_the_grid(made: tuple[Made, ModelSpec]) -> None:
    found, spec = made
    assert isinstance(found.examples, Examples)
    assert set(found.examples.attacked) == ATTACKS
    honest = found.examples.honest
    for view in found.examples.attacked.values():
        assert view.x.dtype == honest.x.dtype
        np.testing.assert_allclose(view.x * 16, np.rint(view.x * 16), atol=1e-4)
        assert view.x.min() >= 0.0
        assert view.x.max() <= 1.0
    again = load_model(spec)
    sure = found.examples.attacked["carlini_wagner_sure"]
    plain = found.examples.attacked["carlini_wagner"]
    assert gap(again.predict(sure.batch).logits) > gap(again.predict(plain.batch).logits)


def gap(logits: object) -> float:
    top = np.sort(np.asarray(logits), axis=1)
    return float(np.median(top[:, -1] - top[:, -2]))


def test_wear_leaves_the_class_and_the_notes_say_how_many(made: tuple[Made, ModelSpec]) -> None:
    found, _ = made
    assert found.examples is not None
    assert set(found.examples.worn) <= set(WEARS)
    assert len(found.examples.worn) >= 3
    assert min(map(len, found.examples.worn.values())) > 200
    (note,) = found.notes
    assert note.startswith("trained on 300 honest rows and ")
    assert f"{len(found.examples.attacked['pgd'])} by pgd" in note


def test_without_gradients_there_are_none_and_a_note_says_why(tmp_path: Path) -> None:
    _, train, reference = project(tmp_path)
    model = onnx.load(tmp_path / "digits.onnx")
    model.graph.node.append(helper.make_node("Bernoulli", ["logits"], ["noisy"]))
    model.graph.output[0].name = "noisy"
    onnx.save(model, tmp_path / "digits.onnx")
    stated = {"path": tmp_path / "digits.onnx", "outputs": {"logits": "noisy", "kind": "logits"}}
    spec = resolve(OnnxSpec.model_validate(stated), reference.batch.x)
    found = make(spec, None, load_model(spec), train, reference, quick=True)
    assert found.examples is None
    assert found.notes[0].startswith("no attacks to learn from: Unsupported: operators Bernoulli")
