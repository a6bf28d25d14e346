"""`python -m benchmarks.detection`: attacks the shared MNIST model and keeps the table of what the chain finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.command import Run, main
from benchmarks.data import CACHE, Images, Labeled, mnist
from benchmarks.detection.attacks import attacks
from benchmarks.detection.judging import Data, calibrated, columns, found
from benchmarks.detection.outside import outside
from benchmarks.detection.report import Line, Setup, keep
from benchmarks.mnist_model import trained
from benchmarks.networks import Trained, predict

REFERENCE_ROWS = 6000
HOLDOUT = (0, 5000)  # rows of the test set
FRESH = (5000, 9500)
ATTACKED = (9500, 10000)
PACKAGES = ("onnxruntime", "torch", "foolbox", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class Effort:
    """How many rows are attacked, how many by the slow attacks, and how many of each kind come from outside."""

    attacked: int
    slowly: int
    outside: int


FULL = Effort(400, 200, 500)
QUICK = Effort(40, 20, 50)


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    train, test = mnist()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = trained(train)
    lines = measured(model, train, test, QUICK if run.quick else FULL)
    accuracy = float((predict(model.network, test.x) == test.y).mean())
    setup = Setup(accuracy, REFERENCE_ROWS, HOLDOUT[1] - HOLDOUT[0])
    return keep(lines, setup, run.facts, run.command, run.folder)


def measured(model: Trained, train: Labeled, test: Labeled, effort: Effort) -> list[Line]:
    """What every chain finds of every kind of rows."""
    folder = CACHE / "detection"
    folder.mkdir(parents=True, exist_ok=True)
    reference = train.part(0, REFERENCE_ROWS).save(folder / "reference.npz")
    data = Data(model.onnx, reference, test.part(*HOLDOUT).save(folder / "holdout.npz"))
    chains = {}
    for name, stages in columns().items():
        say(f"calibrating: {name}")
        chains[name] = calibrated(data, stages, bundle(folder, name))
    lines = []
    for line, x in kinds(model, train, test, effort):
        say(f"judging: {line.name}")
        lines.append(
            Line(line.name, line.kind, len(x), {n: found(c, x) for n, c in chains.items()}, line.tried, line.accuracy)
        )
    return lines


def kinds(model: Trained, train: Labeled, test: Labeled, effort: Effort) -> Iterator[tuple[Line, Images]]:
    """Honest rows, attacked rows, rows from outside; each with the first half of its line."""
    fresh = test.part(*FRESH)
    accuracy = float(np.mean(predict(model.network, fresh.x) == fresh.y))
    yield Line("honest rows", "honest", len(fresh), {}, None, accuracy), fresh.x
    rows = test.part(ATTACKED[0], ATTACKED[0] + effort.attacked)
    reference = train.x[:REFERENCE_ROWS]
    for probe in attacks(model.network, rows, effort.slowly, reference):
        yield Line(probe.name, "attack", len(probe.x), {}, probe.tried, probe.accuracy), probe.x
    for name, x in outside(rows, effort.outside):
        yield Line(name, "outside", len(x), {}), x


def bundle(folder: Path, name: str) -> Path:
    """Where a chain's bundle lies."""
    return folder / "bundles" / "-".join("".join(c if c.isalnum() else " " for c in name).split())


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main("benchmarks.detection", __doc__, PACKAGES, measure))
