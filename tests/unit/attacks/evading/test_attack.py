"""The attack that knows a detector evades more often than one that does not, within its ball and on the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.evading import Effort, Guides, Judge, Known, Scene, Watcher, evade
from attacks.evading.attack import own_values
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


@pytest.mark.slow
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


def judged_by_count(world: World, scene: Scene, most: int) -> Judge:
    """Flags rows of which more than so many values were changed: nothing there has a slope."""

    def judge(rows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        gap, _ = scene.judge(rows, which)
        x = world.feasible.from_unit(rows, world.clean[which.numpy()])
        changed = np.abs(x - world.clean[which.numpy()]).reshape(len(x), -1) > 1e-6
        return gap, torch.tensor(changed.sum(axis=1) - most, dtype=torch.float64)

    return judge


def test_the_search_on_the_grid_gets_past_what_has_no_slope(world: World) -> None:
    scene = Scene.of(world.look, *world.start, Known(()), epsilon=0.5, bounds=UNIT)
    judge = judged_by_count(world, scene, 32)
    with_search, without = (
        evade(scene, seed=0, effort=Effort(10, 1, 0, rounds), judge=judge, finest=1 / 16) for rounds in (120, 0)
    )
    won = with_search.evades.float().mean()
    assert won > without.evades.float().mean() + 0.2
    gap, excess = judge(with_search.rows, torch.arange(len(with_search.rows)))
    assert ((gap > 0.0) & (excess <= 0.0)).equal(with_search.evades)


def test_an_honest_row_of_another_class_is_as_good_as_any_without_bounds(world: World) -> None:
    scene = Scene.of(world.look, *world.start, Known((world.watcher,)), epsilon=1.0, bounds=UNIT)
    rows, y = world.start
    safe = world.detector.score(View(Batch(world.clean), world.backend)) < world.limit
    guides = Guides(rows[safe], torch.zeros(int(safe.sum()), 1), y[safe])
    picked = guides.near(scene, torch.arange(len(rows)), 0)
    assert (guides.classes[picked] != y).all()
    assert not torch.equal(picked, guides.near(scene, torch.arange(len(rows)), 1))
    assert world.evades(guides.rows[picked]) == 1.0


def test_own_values_are_the_nearest_that_the_row_has() -> None:
    clean = torch.tensor([[[0.0, 0.5, 1.0]], [[0.2, 0.2, 0.2]]])
    rows = torch.tensor([[[0.2, 0.3, 0.9]], [[0.0, 0.5, 1.0]]])
    expected = torch.tensor([[[0.0, 0.5, 1.0]], [[0.2, 0.2, 0.2]]])
    torch.testing.assert_close(own_values(clean, rows), expected)
