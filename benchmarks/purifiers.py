"""`python -m benchmarks.purifiers`: what purifying costs honest MNIST rows, gives back of attacked ones, and takes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.data import Images, Labeled, mnist, to_grid
from benchmarks.detection.attacks import Attacker
from benchmarks.mnist_model import trained
from benchmarks.networks import predict
from benchmarks.statistics import Rate
from benchmarks.tables import table, write
from defenses.base import Purifier, PurifierSpec
from defenses.bit_depth import BitDepthSpec
from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from defenses.gaussian import GaussianSpec
from defenses.jpeg import JpegSpec
from defenses.median import MedianSpec
from defenses.non_local_means import NonLocalMeansSpec
from defenses.resize_and_pad import ResizeAndPadSpec
from defenses.total_variation import TotalVariationSpec
from models.batch import Bounds, InputSpec

NAME = "purifiers-mnist"
REFERENCE_ROWS = 10_000
HONEST = (5000, 7000)  # rows of the test set
ATTACKED = (9500, 9700)
PACKAGES = ("onnxruntime", "torch", "foolbox", "numpy", "scipy")
GRAY = InputSpec("image", np.dtype("float32"), (1, 28, 28), Bounds(0, 1), "NCHW")
COLOR = InputSpec("image", np.dtype("float32"), (3, 32, 32), Bounds(0, 1), "NCHW")
REPEATS = 50


@dataclass(frozen=True)
class Line:
    """One purifier. Times are medians; `ms_color` is for one 3x32x32 row alone, `fit_s` for learning."""

    name: str
    honest: Rate
    regained: Mapping[str, Rate]
    ms_alone: float
    ms_of_64: float
    ms_color: float
    fit_s: float


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    train, test = mnist()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = trained(train).network
    honest, victims = test.part(*HONEST), test.part(*ATTACKED)
    if run.quick:
        honest, victims = honest.part(0, 100), victims.part(0, 30)
    probes = attacked(network, victims)
    lines = []
    for spec in specs(run.quick):
        lines.append(measured(spec, network, train.x[:REFERENCE_ROWS], honest, probes))
        print(lines[-1].name, file=sys.stderr, flush=True)
    plain = Rate(int((predict(network, honest.x) == honest.y).sum()), len(honest))
    return keep(lines, plain, probes, run.facts, run.command, run.folder)


def specs(quick: bool) -> list[PurifierSpec]:
    """Everything that works on images, at its usual strength and some at others."""
    return [
        BitDepthSpec(),
        BitDepthSpec(bits=1),
        MedianSpec(),
        MedianSpec(size=3),
        GaussianSpec(),
        JpegSpec(),
        TotalVariationSpec(),
        TotalVariationSpec(weight=0.2),
        NonLocalMeansSpec(),
        NonLocalMeansSpec(strength=0.2),
        ResizeAndPadSpec(),
        DenoisingAutoencoderSpec(steps=5) if quick else DenoisingAutoencoderSpec(),
    ]


def attacked(network: nn.Module, rows: Labeled) -> dict[str, Labeled]:
    """By attack, the rows that the model had right and has wrong after rounding to the grid."""
    attacker = Attacker(network)
    made = {
        "FGSM 51/255": attacker.fgsm(rows, 51),
        "PGD 26/255": attacker.pgd(rows, 26),
        "PGD 51/255": attacker.pgd(rows, 51),
        "DeepFool": attacker.deepfool(rows),
        "C&W": attacker.carlini_wagner(rows, 0),
        "C&W k=10": attacker.carlini_wagner(rows, 10),
    }
    right = predict(network, rows.x) == rows.y
    return {name: _fooled(network, to_grid(x), rows, right) for name, x in made.items()}


def _fooled(network: nn.Module, x: Images, rows: Labeled, right: Any) -> Labeled:
    won = right & (predict(network, x) != rows.y)
    return Labeled(x[won], rows.y[won])


def measured(
    spec: PurifierSpec, network: nn.Module, reference: Images, honest: Labeled, probes: Mapping[str, Labeled]
) -> Line:
    """Fits, builds and tries it."""
    started = time.perf_counter()
    purifier = spec.build(GRAY, spec.fit(reference, GRAY))
    fit_s = time.perf_counter() - started
    color = np.random.default_rng(0).random((100, *COLOR.shape), dtype=np.float32)
    quick = spec.model_copy(update={"steps": 1}) if isinstance(spec, DenoisingAutoencoderSpec) else spec
    return Line(
        purifier.name,
        right_after(purifier, network, honest),
        {name: right_after(purifier, network, probe) for name, probe in probes.items()},
        milliseconds(purifier, honest.x[:1]),
        milliseconds(purifier, honest.x[:64]) / len(honest.x[:64]),
        milliseconds(quick.build(COLOR, quick.fit(color, COLOR)), color[:1]),
        fit_s,
    )


def right_after(purifier: Purifier, network: nn.Module, rows: Labeled) -> Rate:
    """How many of the rows the model gets right once they are purified."""
    if not len(rows):
        return Rate(0, 0)
    return Rate(int((predict(network, purifier.apply(rows.x)) == rows.y).sum()), len(rows))


def milliseconds(purifier: Purifier, x: Images) -> float:
    """The median time to purify these rows."""
    purifier.apply(x)
    spent = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        purifier.apply(x)
        spent.append(time.perf_counter() - started)
    return float(np.median(spent) * 1e3)


def keep(
    lines: list[Line], plain: Rate, probes: Mapping[str, Labeled], facts: dict[str, Any], command: str, folder: Path
) -> Path:
    """Writes both files; gives the page's path."""
    effect = table(
        ("", "honest", *(f"{name} ({len(probe)})" for name, probe in probes.items())),
        [("none", plain.text(), *("0" for _ in probes))]
        + [(line.name, line.honest.text(), *(rate.text() for rate in line.regained.values())) for line in lines],
    )
    cost = table(
        ("", "28x28, alone", "28x28, of 64", "3x32x32, alone", "fit, s"),
        [
            (line.name, *(f"{ms:.2f}" for ms in (line.ms_alone, line.ms_of_64, line.ms_color)), f"{line.fit_s:.1f}")
            for line in lines
        ],
    )
    text = f"""# What purifiers cost and give back on MNIST

`{command}`

{machine.sentence(facts)}

**These attacks know the model and not the purifier.** Whoever knows the purifier attacks through it.

## Right after purifying, % of rows [95 % interval]

Attacked rows are those that the model had right and has wrong after rounding to k/255, so that without a purifier
none is right; their number stands in brackets.

{effect}

## Milliseconds a row, median of {REPEATS}

{cost}"""
    document = {
        "command": command,
        "machine": facts,
        "honest": asdict(plain),
        "lines": [asdict(line) for line in lines],
    }
    return write(NAME, text, document, folder)[0]


if __name__ == "__main__":
    sys.exit(main("benchmarks.purifiers", __doc__, PACKAGES, measure))
