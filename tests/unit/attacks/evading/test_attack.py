"""The attack that knows a detector evades more often than one that does not, within its ball and on the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.evading import Effort, Known, Scene, Watcher, evade
from attacks.evidence import twin
from attacks.feasible import UNIT, Feasible
from attacks.network import Network
from attacks.passes import Passes
from attacks.pgd import pgd
from detectors.base import Reference, View
from detectors.contract import ContractSpec
from detectors.mahalanobis import MahalanobisSpec
from models.batch import Array, Batch
from models.specs import OnnxSpec, load_model, resolve
from tests import tiny
from tests.project import to_onnx

EPSILON = 0.2


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("net"))


class World:
    """A model, a detector of it with a limit that is hard to stay below, and rows to attack."""

    def __init__(self, folder: Path) -> None:
        case = tiny.image()
        to_onnx(case.net, folder / "net.onnx")
        spec = resolve(OnnxSpec.model_validate({"path": folder / "net.onnx", "input": {"bounds": (0, 1)}}), case.rows.x)
        self.backend, self.network = load_model(spec), Network.of(spec)
        reference = Reference(View(case.reference.view.batch, self.backend), self.backend.spec, case.reference.y)
        self.feasible = Feasible.learn(reference.view.x, reference.spec, ContractSpec().fit(reference))
        watched = MahalanobisSpec()
        arrays = watched.fit(reference)
        self.detector = watched.build(arrays, reference.spec)
        scores = self.detector.score(View(case.rows, self.backend))
        self.limit = float(np.quantile(scores, 0.6))
        self.watcher = Watcher(twin(watched, arrays, reference.spec), self.limit, float(scores.std()))
        self.clean = case.rows.x[:60]
        self.y = self.classes(self.clean)

    def classes(self, x: Array) -> Array:
        logits = self.backend.predict(Batch(x)).logits
        assert logits is not None
        return np.asarray(logits.argmax(axis=1))

    def look(self, rows: Tensor, which: Tensor) -> Passes:
        return Passes(self.feasible.seen(self.clean[which.numpy()])(rows), self.network)

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        return self.feasible.to_unit(self.clean), torch.tensor(self.y)

    def attack(self, *watchers: Watcher) -> Tensor:
        scene = Scene.of(self.look, *self.start, Known(watchers), epsilon=EPSILON, bounds=UNIT)
        return evade(scene, seed=0, effort=Effort(steps=25, descents=4, rounds=10)).rows

    def evades(self, rows: Tensor) -> float:
        x = self.feasible.from_unit(rows, self.clean)
        found = self.detector.score(View(Batch(x), self.backend)) >= self.limit
        return float(((self.classes(x) != self.y) & ~found).mean())


def test_evades_the_real_detector_more_often_than_pgd(world: World) -> None:
    def model(rows: Tensor) -> Tensor:
        return world.look(rows, torch.arange(len(rows))).outputs.logits

    plain = pgd(model, *world.start, epsilon=EPSILON, steps=40, bounds=UNIT, seed=0)
    assert world.evades(world.attack(world.watcher)) > world.evades(plain) + 0.2


def test_stays_in_its_ball_and_repeats_itself(world: World) -> None:
    found = world.attack(world.watcher)
    clean, _ = world.start
    assert float((found - clean).abs().max()) <= EPSILON + 1e-6
    assert float(found.min()) >= 0.0
    assert float(found.max()) <= 1.0
    assert torch.equal(found, world.attack(world.watcher))


def test_without_watchers_it_is_a_plain_attack(world: World) -> None:
    x = world.feasible.from_unit(world.attack(), world.clean)
    assert (world.classes(x) != world.y).mean() > 0.8
