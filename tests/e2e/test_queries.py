"""Attacks by queries through the real server: the principal is marked, and honest ones are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.data import DataMissing, Labeled, mnist
from benchmarks.mnist_model import trained
from benchmarks.queries.attackers import ATTACKS
from benchmarks.queries.caller import Caller, Marked
from benchmarks.queries.served import ALONE, CLEAN, Place, served
from benchmarks.queries.trials import attacked, honest, replayed
from detectors.queries.likeness import Likeness
from gateway.training.bundle import Bundle
from gateway.training.queries import FILE
from models.batch import InputSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def rows() -> tuple[Labeled, Labeled]:
    try:
        return mnist()
    except DataMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def place(rows: tuple[Labeled, Labeled], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("queries")
    train, test = rows
    with served(folder, trained(train).onnx, train.part(0, 6000), test.part(0, 5000), []) as found:
        yield found


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize("noise", [0, 8, 16])
def test_an_attacker_is_marked_within_a_second_of_the_tenth_query(
    place: Place, rows: tuple[Labeled, Labeled], attack: str, noise: int
) -> None:
    number = sorted(ATTACKS).index(attack) * 3 + noise // 8
    caller, marked = Caller(place.port, ALONE), Marked(place.state)
    image = rows[1].part(9000 + number, 9001 + number)
    names = [f"{attack} {noise}"]
    trial, _ = attacked(caller, marked, image, attack, noise, most=40, names=names, seed=number)
    caller.close()
    marked.close()
    assert trial.late_s is not None
    assert trial.late_s < 1.0
    arrays = Bundle.open(place.folder / "bundle", ALONE).arrays(FILE)
    likeness = Likeness.from_arrays(arrays, InputSpec("image", trial.asked.dtype, (1, 28, 28), None, "NCHW"))
    found = replayed(likeness, trial, pooled=True, hashed=True)
    assert found is not None
    assert found < (trial.succeeded or 1000)


def test_honest_callers_are_not_marked(place: Place, rows: tuple[Labeled, Labeled]) -> None:
    caller, marked = Caller(place.port, CLEAN), Marked(place.state)
    assert honest(caller, marked, rows[1].x[5000:7000], 50, 4) == 0
    caller.close()
    marked.close()
