"""`python -m benchmarks.quality`: trains, attacks, calibrates and keeps what every detector and chain finds."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks.data import CACHE, DataMissing
from benchmarks.quality import adult, cifar10, mnist
from benchmarks.quality.adaptive import Adaptive, adaptive
from benchmarks.quality.calibrating import Calibration
from benchmarks.quality.chains import (
    COMBINER,
    DEFAULT,
    DEFAULT_HARDENED,
    HARDENED,
    Calibrated,
    Refused,
    alone,
    combiners,
    defaults,
)
from benchmarks.quality.default import default, hardened
from benchmarks.quality.effort import FULL, QUICK, Effort
from benchmarks.quality.judging import judged
from benchmarks.quality.report import keep
from benchmarks.quality.subject import Subject
from benchmarks.quality.targets import Table
from benchmarks.tables import RESULTS
from detectors.combiner import Combiner
from gateway.training.examples import Sources

SUBJECTS: dict[str, Callable[[Effort], Subject]] = {
    "mnist": mnist.subject,
    "cifar10": cifar10.subject,
    "adult": adult.subject,
}
ATTACKED = (DEFAULT, DEFAULT_HARDENED, COMBINER, HARDENED)  # by who knows them
PACKAGES = ("onnxruntime", "torch", "foolbox", "adversarial-robustness-toolbox", "numpy", "scipy", "scikit-learn")


def main() -> int:
    """Status 2 where a data set is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows: shows that all works, measures little")
    parser.add_argument("--only", choices=tuple(SUBJECTS), help="one data set")
    parser.add_argument("--rows", type=int, help="at most so many rows of each kind but honest ones")
    parser.add_argument("--harden", type=int, help="so many rounds of self-play; 0 leaves hardened chains out")
    parser.add_argument("--adaptive", type=int, help="so many rows for the attack that knows the chain; 0: none")
    parser.add_argument("--brief", action="store_true", help="calibrate all chains with --quick")
    asked = parser.parse_args()
    effort = _effort(asked)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for name in [asked.only] if asked.only else SUBJECTS:
        numbers = {"rows": asked.rows, "harden": asked.harden, "adaptive": asked.adaptive}
        said = "".join(f" --{key} {value}" for key, value in numbers.items() if value is not None)
        command = f"python -m benchmarks.quality --only {name}{said}"
        command += " --quick" * asked.quick + " --brief" * asked.brief
        folder = CACHE / "results" if asked.quick else RESULTS
        try:
            run(name, effort, command, asked.rows, folder)
        except DataMissing as missing:
            print(missing, file=sys.stderr)
            return 2
    return 0


def _effort(asked: argparse.Namespace) -> Effort:
    effort = QUICK if asked.quick else FULL
    if asked.harden is not None:
        effort = replace(effort, harden=asked.harden)
    if asked.adaptive is not None:
        effort = replace(effort, adaptive=asked.adaptive)
    return replace(effort, quick=True) if asked.brief else effort


def run(name: str, effort: Effort, command: str, rows: int | None, folder: Path) -> None:
    """One data set, from the model to the page; at most so many `rows` of each kind but honest ones."""
    started, facts = time.perf_counter(), machine.facts(PACKAGES)
    subject = SUBJECTS[name](effort)
    say(f"{name}: making rows")
    probes = [p if p.role == "honest" else replace(p, x=p.x[:rows]) for p in subject.probes()]
    say(f"{name}: attacks to learn from")
    calibration = Calibration.of(subject, effort.quick)
    refused, lines = Refused(), []
    attacked: list[Adaptive] = []
    for calibrated in everything(subject, calibration, effort, refused):
        say(f"{name}: {calibrated.name}")
        lines.append(judged(calibrated, probes))
        if calibrated.name in ATTACKED:
            attacked += knowing(subject, calibrated, calibration.made.sources, effort)
    facts["minutes"] = round((time.perf_counter() - started) / 60.0, 1)
    page = keep(subject, Table(lines, probes, attacked), refused, facts, command, folder)
    print(page.read_text())


def everything(subject: Subject, calibration: Calibration, effort: Effort, refused: Refused) -> Iterator[Calibrated]:
    """The default chain, the combiners, every detector alone."""
    plain = default(subject, effort.quick)
    learns = any(isinstance(stage.detector, Combiner) for stage in plain.chain.stages)
    yield from defaults(plain, hardened(subject, effort.quick, effort.harden) if learns and effort.harden else None)
    yield from combiners(calibration, effort)
    yield from alone(calibration, refused)


def knowing(subject: Subject, calibrated: Calibrated, sources: Sources | None, effort: Effort) -> Iterator[Adaptive]:
    """What an attack that knows the chain makes of it, if gradients can be had."""
    if sources is not None and effort.adaptive:
        name, chain = calibrated.name, calibrated.chain
        yield adaptive(name, chain, sources, subject.victims, subject.fresh, subject.epsilon, effort)


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
