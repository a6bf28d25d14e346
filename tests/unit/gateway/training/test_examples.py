"""Attacks made to learn from: they fool the model that will be served, and could really be sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from defenses.base import Effort
from detectors.examples import Examples
from gateway.training.corruptions import WEARS
from gateway.training.data import Rows
from gateway.training.examples import Made, make
from gateway.training.stored import StoredModel
from gateway.training.wearing import Wear
from models.batch import Batch
from models.specs import ModelSpec, OnnxSpec, load_model, resolve
from tests import digits

ROOT = Path(__file__).parents[4]
SEARCHES = {"carlini_wagner", "carlini_wagner_sure", "carlini_wagner_tangent", "boundary"}
QUICK = Effort(quick=True)
ATTACKS = {"fgsm", "pgd", "apgd", *SEARCHES, "patches"}


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
    return make(StoredModel(spec, None, backend), train, reference, wear=wear, effort=QUICK), spec


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


def with_determinant(folder: Path) -> ModelSpec:
    """The same model by a graph that has an operator without a gradient here: it adds nothing, by a determinant."""
    model = onnx.load(folder / "digits.onnx")
    zero = helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0])
    model.graph.initializer.append(zero)
    model.graph.node.extend(
        [
            helper.make_node("Det", ["x"], ["determinant"]),
            helper.make_node("Mul", ["determinant", "zero"], ["nothing"]),
            helper.make_node("Add", ["logits", "nothing"], ["same"]),
        ]
    )
    model.graph.output[0].name = "same"
    onnx.save(model, folder / "digits.onnx")
    stated = {"path": folder / "digits.onnx", "input": {"bounds": [0, 1]}, "outputs": {"logits": "same"}}
    return resolve(OnnxSpec.model_validate(stated), np.load(folder / "train.npz")["x"])


def test_a_model_without_gradients_is_attacked_by_asking_and_a_note_says_so(tmp_path: Path) -> None:
    _, train, reference = project(tmp_path)
    spec = with_determinant(tmp_path)
    found = make(StoredModel(spec, None, load_model(spec)), train, reference, effort=QUICK)
    assert found.sources is None
    said, counted = found.notes
    assert said.startswith(
        "attacked without gradients, by asking the model, which is weaker: Unsupported: operators Det"
    )
    assert " by square" in counted
    asked_only(found)


def asked_only(found: Made) -> None:
    assert isinstance(found.examples, Examples)
    assert set(found.examples.attacked) == {"square", "square_near"}
    for view in found.examples.attacked.values():
        assert len(view) > 50
        np.testing.assert_allclose(view.x * 16, np.rint(view.x * 16), atol=1e-4)


def test_without_torch_the_model_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, train, reference = project(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    found = make(StoredModel(spec, None, load_model(spec)), train, reference, effort=QUICK)
    assert found.sources is None
    assert found.notes[0].endswith("torch is not installed (`pip install 'watchgate[torch]'`)")
    asked_only(found)


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] == "torch" else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from gateway.cli import main
sys.exit(main())
"""


@pytest.mark.slow
def test_without_torch_stages_are_chosen_and_combined_all_the_same(tmp_path: Path) -> None:
    digits.write(tmp_path)
    files = ("--model", "digits.onnx", "--reference", "train.npz", "--holdout", "test.npz")
    for words in (("init", *files, "--name", "digits"), ("calibrate", "--quick", "--harden", "1")):
        command = [sys.executable, "-c", WITHOUT_TORCH, *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "attacked without gradients, by asking the model, which is weaker: torch is not installed" in done.stdout
    assert "by square" in done.stdout
    assert "combiner: what finds attacks comes from" in done.stdout
    assert "not hardened: that takes gradients of the model" in done.stdout
