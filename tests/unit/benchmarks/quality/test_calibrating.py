from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.data import Labeled
from benchmarks.networks import Trained, export
from benchmarks.quality import calibrating
from benchmarks.quality.adaptive import adaptive
from benchmarks.quality.calibrating import Calibration
from benchmarks.quality.catalogue import kinds
from benchmarks.quality.chains import COMBINER, HARDENED, combiners
from benchmarks.quality.effort import QUICK
from benchmarks.quality.judging import judged
from benchmarks.quality.kept import kept
from benchmarks.quality.remembering import Remembering
from benchmarks.quality.subject import Probe, Subject, accuracy, right
from detectors.catalogue import AnyDetectorSpec
from models.backend import Outputs
from models.batch import Array, Batch
from tests import tiny


def test_every_detector_of_the_catalogue_is_measured() -> None:
    schema = str(AnyDetectorSpec)
    assert {"contract", "input_statistics", "margin", "mahalanobis", "feature_squeezing"} <= set(kinds())
    assert "custom" not in kinds()
    assert all("".join(part.title() for part in kind.split("_")) + "Spec" in schema for kind in kinds())


def test_rows_are_made_once_for_a_key(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> Array:
        made.append(1)
        return np.arange(3)

    for key in ("a", "a", "b"):
        np.testing.assert_array_equal(kept("PGD 8/255", key, make, tmp_path), [0, 1, 2])
    assert len(made) == 2


@dataclass(frozen=True)
class Counting(tiny.Net):
    asked: list[int] = field(default_factory=list)

    def predict(self, batch: Batch) -> Outputs:
        self.asked.append(len(batch))
        return super().predict(batch)


def test_a_batch_is_answered_once_while_there_is_room() -> None:
    case = tiny.image()
    net = Counting(**{each.name: getattr(case.net, each.name) for each in fields(tiny.Net)})
    remembering = Remembering(net, most=5)
    first, second = (case.rows.take(slice(start, start + 3)) for start in (0, 3))
    for batch in (first, first, second, first):  # the second takes the first one's place
        expected, found = case.net.predict(batch).logits, remembering.predict(batch).logits
        assert expected is not None
        assert found is not None
        np.testing.assert_array_equal(found, expected)
    assert len(net.asked) == 3


def table_subject(folder: Path) -> Subject:
    """Two classes of four numbers, and a network that tells them by the first."""
    random = np.random.default_rng(0)
    x = np.rint(random.normal(0.0, 20.0, (3000, 4))).astype(np.float32)
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[-0.1, 0.0, 0.0, 0.0], [0.1, 0.0, 0.02, 0.0]])
        layer.bias[:] = 0.0
    network = nn.Sequential(layer)
    network.requires_grad_(False).eval()
    export(network, folder / "model.onnx", (4,))
    trained = Trained(network, folder / "model.onnx")
    rows = Labeled(x, (x[:, 0] > 0).astype(np.int64))
    return Subject(
        name="tiny",
        title="tiny",
        trained=trained,
        reference=rows.part(0, 1000).save(folder / "reference.npz"),
        holdout=rows.part(1000, 2500).save(folder / "holdout.npz"),
        fresh=rows.part(2500, 3000),
        victims=right(trained, rows.part(2500, 3000)),
        accuracy=accuracy(trained, rows),
        epsilon=0.1,
        spoken="a tenth",
        probes=tuple,
        input={"kind": "table"},
    )


@pytest.mark.slow
def test_chains_are_calibrated_and_attacked_by_who_knows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "CACHE", tmp_path)
    subject = table_subject(tmp_path)
    calibration = Calibration.of(subject, quick=True)
    assert calibration.made.sources is not None
    lines = {line.name: line for line in combiners(calibration, QUICK)}
    assert {COMBINER, HARDENED, "combiner without C&W, DeepFool"} <= set(lines)
    probes = [Probe("honest", "honest", subject.fresh.x), Probe("large", "tampered", subject.fresh.x * 50)]
    found = judged(lines[COMBINER], probes)
    assert found.found["honest"].flagged.share < 0.12
    assert found.found["large"].flagged.share > found.found["honest"].flagged.share
    attacked = adaptive(
        COMBINER, lines[COMBINER].chain, calibration.made.sources, subject.victims, subject.fresh, 0.2, QUICK
    )
    assert attacked.fooled.n == QUICK.adaptive
    assert attacked.past.k == attacked.fooled.k - attacked.found.flagged.k
