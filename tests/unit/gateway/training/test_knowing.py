"""Who knows a chain gets past it: without bounds always, with more room never less often; the chain itself is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.evading import Effort, Evaded, evade
from attacks.feasible import UNIT, Feasible
from attacks.making import Targets
from attacks.network import Network
from attacks.pgd import pgd
from detectors.base import Reference, View
from detectors.contract import ContractSpec
from gateway.chain import Chain
from gateway.config import Budget, StageConfig
from gateway.training.data import Rows
from gateway.training.fitting import Part, fit
from gateway.training.knowing import guides_of, judge_of, known_of, scene_of
from models.batch import Array, Batch
from models.specs import OnnxSpec, load_model, resolve
from tests import digits

STAGES = [
    {"detector": {"kind": "contract"}, "name": "contract"},
    {"detector": {"kind": "combiner", "evidence": [{"kind": "mahalanobis"}, {"kind": "margin"}]}, "name": "combiner"},
    {"detector": {"kind": "squeezed_odds"}, "name": "closer_look", "when": "suspicious", "share": 0.3},
]
EFFORT = Effort(steps=25, descents=5, guides=1, rounds=20)
ROWS = 24


class World:
    """A calibrated chain of three stages, the last of them gated, and rows to attack."""

    def __init__(self, folder: Path) -> None:
        digits.write(folder)
        train, test = np.load(folder / "train.npz"), np.load(folder / "test.npz")
        given = OnnxSpec.model_validate({"path": folder / "digits.onnx", "input": {"bounds": [0, 1]}})
        spec = resolve(given, train["x"])
        backend = load_model(spec)
        parts = {
            "reference": Rows(Batch(train["x"]), train["y"]),
            "rank": Rows(Batch(test["x"][:300]), None),
            "calibrate": Rows(Batch(test["x"][300:600]), None),
        }

        def read(part: Part) -> Rows:
            return parts[part]

        configs = [StageConfig.model_validate(stage) for stage in STAGES]
        fitted = fit(configs, backend, read, Budget())
        self.chain = Chain(backend, tuple(stage.stage for stage in fitted.stages), fitted.policy)
        reference = Reference(View(parts["reference"].batch, backend), backend.spec)
        feasible = Feasible.learn(train["x"], backend.spec, ContractSpec().fit(reference))
        self.honest = View(parts["rank"].batch, backend)
        self.targets = self.right(Network.of(spec), feasible, Batch(test["x"][600:]), test["y"][600:])
        self.known = known_of(self.chain, self.honest)

    def right(self, network: Network, feasible: Feasible, batch: Batch, y: Array) -> Targets:
        logits = self.chain.backend.predict(batch).logits
        assert logits is not None
        rows = np.flatnonzero(logits.argmax(axis=1) == y)[:ROWS]
        return Targets.pick(network, feasible, batch, y.astype(np.int64), rows)

    def attack(self, epsilon: float, starts: tuple[tuple[str, Tensor], ...] = (), guided: bool = True) -> Evaded:
        return evade(
            scene_of(self.targets, self.known, self.chain, epsilon),
            seed=0,
            effort=EFFORT,
            judge=judge_of(self.targets, self.chain),
            starts=starts,
            guides=guides_of(self.targets, self.chain, self.honest) if guided else None,
            finest=self.targets.feasible.finest,
        )

    def past(self, rows: Tensor) -> Array:
        """Asks the chain as requests do."""
        x = self.targets.feasible.from_unit(rows, self.targets.batch.x)
        judged = self.chain.run(Batch(x))
        answered = self.chain.backend.predict(Batch(x)).logits
        assert answered is not None
        wrong = answered.argmax(axis=1) != self.targets.y.numpy()
        return np.asarray(wrong & (judged.verdicts.actions == 0))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("digits"))


def test_without_bounds_every_row_gets_past_by_gradients_alone(world: World) -> None:
    found = world.attack(1.0, guided=False)
    assert world.past(found.rows).all(), "an attack that fails here measures nothing"
    assert found.evades.all()


def test_more_room_wins_no_fewer_rows_and_more_than_who_knows_nothing(world: World) -> None:
    starts: tuple[tuple[str, Tensor], ...] = ()
    before = np.zeros(ROWS, dtype=bool)
    for epsilon in (2 / 16, 4 / 16, 8 / 16):
        targets = world.targets
        naive = pgd(targets.model, targets.x, targets.y, epsilon=epsilon, steps=20, bounds=UNIT, seed=0)
        found = world.attack(epsilon, (("naive", naive), *starts))
        past = world.past(found.rows)
        np.testing.assert_array_equal(past, found.evades.numpy())
        assert not (world.past(naive) & ~past).any()
        assert not (before & ~past).any()
        x = targets.feasible.from_unit(found.rows, targets.batch.x)
        assert np.abs(x - targets.batch.x).max() <= epsilon + 1e-6
        np.testing.assert_allclose(x * 16, np.rint(x * 16), atol=1e-4)
        before, starts = past, (("with less change", found.rows),)
    assert before.mean() > world.past(naive).mean() + 0.2


def test_what_is_known_of_the_chain_says_what_the_chain_says(world: World) -> None:
    targets, random = world.targets, torch.Generator().manual_seed(0)
    scene = scene_of(targets, world.known, world.chain, 0.25)
    rows = scene.inside(targets.x + 0.3 * torch.randn(targets.x.shape, generator=random), torch.arange(ROWS))
    everyone = torch.arange(ROWS)
    gap, excess = judge_of(targets, world.chain)(rows, everyone)
    same_gap, same_excess = scene.judge(rows, everyone)
    torch.testing.assert_close(gap, same_gap, atol=1e-3, rtol=1e-3)
    assert ((excess > 0.0) == (same_excess >= 0.0)).all()
    assert 0 < int((excess > 0.0).sum()) < ROWS
    some = everyone[3:7]
    torch.testing.assert_close(judge_of(targets, world.chain)(rows[3:7], some)[1], excess[3:7])


def test_stages_without_gradients_are_named_and_only_asked(world: World) -> None:
    own = {"detector": {"kind": "custom", "spec": "tests.unattackable:UnattackableSpec"}, "name": "own", "trust": True}
    stage = StageConfig.model_validate(own)
    reference = Reference(world.honest, world.chain.backend.spec)
    detector = stage.detector.build(stage.detector.fit(reference), world.chain.backend.spec)
    first = world.chain.stages[1]
    blind = Chain(world.chain.backend, (type(first)("own", detector, first.tail),), world.chain.policy)
    assert known_of(blind, world.honest).blind == ("own",)
