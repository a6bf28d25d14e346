from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attacks.effort import LEAST_ROWS, QUICK, Effort, operations
from attacks.feasible import UNIT, Feasible
from attacks.grid import still_adversarial
from attacks.making import Targets, attacked, smallest_epsilon
from attacks.network import Network
from attacks.pgd import pgd
from detectors.contract import ContractSpec
from models.batch import Array
from models.specs import OnnxSpec, resolve
from tests import tiny
from tests.project import to_onnx


def prepared(folder: Path) -> tuple[Network, Feasible, Array]:
    case = tiny.image()
    to_onnx(case.net, folder / "net.onnx")
    network = Network.of(resolve(OnnxSpec(path=folder / "net.onnx"), case.rows.x))
    feasible = Feasible.learn(case.reference.view.x, case.spec, ContractSpec().fit(case.reference))
    logits = case.net.predict(case.rows).logits
    assert logits is not None
    return network, feasible, np.asarray(logits.argmax(axis=1))


def test_the_smallest_epsilon_wins_and_a_smaller_one_does_not(tmp_path: Path) -> None:
    network, feasible, y = prepared(tmp_path)
    targets = Targets.pick(network, feasible, tiny.image().rows, y, np.arange(40))
    smallest = smallest_epsilon(targets, seed=0)
    assert smallest.shape == (40,)
    assert np.isfinite(smallest).mean() > 0.9
    epsilon = torch.tensor(smallest, dtype=torch.float32).reshape(-1, 1, 1, 1)
    below, at = (
        pgd(targets.model, targets.x, targets.y, epsilon=share * epsilon, steps=10, bounds=UNIT, seed=0)
        for share in (0.5, 1.0)
    )
    won = np.isfinite(smallest)
    assert still_adversarial(targets.model, at, targets.y).numpy()[won].mean() > 0.9
    assert still_adversarial(targets.model, below, targets.y).numpy()[won].mean() < 0.5
    assert 1 / 16 <= np.median(smallest[np.isfinite(smallest)]) <= 0.3


@pytest.mark.slow
def test_a_model_that_takes_long_has_fewer_rows_attacked_and_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attacks.effort.QUICK", replace(QUICK, operations=1.0))
    network, feasible, y = prepared(tmp_path)
    told: list[tuple[str, int, int]] = []
    rows = tiny.image().rows

    def tell(what: str, done: int, of: int) -> None:
        told.append((what, done, of))

    for attack in attacked(network, feasible, rows, y, seed=0, quick=True, tell=tell):
        few = "carlini_wagner" in attack.name  # the costly searches have half of the rows each
        assert len(attack.x) == len(attack.of) == (LEAST_ROWS // 2 if few else LEAST_ROWS)
        assert attack.x.shape[1:] == rows.x.shape[1:]
        assert (attack.x != rows.x[attack.of]).any()
    assert told[0] == ("attack fgsm", 0, 8)
    assert told[-1] == ("attack", 8, 8)


def test_work_is_counted_the_same_whatever_the_machine_does(tmp_path: Path) -> None:
    network, feasible, y = prepared(tmp_path)
    targets = Targets.pick(network, feasible, tiny.image().rows, y, np.arange(4))
    counted = operations(targets.model, targets.x)
    assert counted == operations(targets.part(slice(0, 2)).model, targets.x[:2]) > 0.0
    effort = Effort(pgd=1, apgd=1, carlini_wagner=1, searches=2, boundary=1, patches=2, operations=26.0 * 100 * 1e7)
    assert effort.passes == 26.0
    assert effort.rows(1e7) == 100
