"""`python -m benchmarks.adaptive`: what an attack that knows the default chain gets past it, and past it hardened."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks.adaptive.report import Line, keep
from benchmarks.adaptive.sources import sources
from benchmarks.data import CACHE, DataMissing
from benchmarks.quality import cifar10, mnist
from benchmarks.quality.adaptive import Attacker
from benchmarks.quality.chains import DEFAULT, DEFAULT_HARDENED
from benchmarks.quality.default import default, hardened
from benchmarks.quality.effort import FULL, QUICK, Effort
from benchmarks.quality.subject import Subject
from benchmarks.tables import RESULTS
from gateway.chain import Chain

# In units of the range. The last one bounds nothing: an attack that does not win every row then is broken.
EPSILONS = {"mnist": (8 / 255, 16 / 255, 0.3, 1.0), "cifar10": (2 / 255, 8 / 255, 1.0)}
ROWS = {"mnist": 100, "cifar10": 50}
ROUNDS = 3
SUBJECTS: dict[str, Callable[[Effort], Subject]] = {"mnist": mnist.subject, "cifar10": cifar10.subject}
PACKAGES = ("onnxruntime", "torch", "numpy", "scipy")


def main() -> int:
    """Status 2 where a data set is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptive", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, weak attack: shows that all works")
    parser.add_argument("--only", choices=tuple(SUBJECTS), help="one data set")
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else SUBJECTS:
        command = f"python -m benchmarks.adaptive --only {name}" + " --quick" * asked.quick
        try:
            print(run(name, asked.quick, command).read_text())
        except DataMissing as missing:
            print(missing, file=sys.stderr)
            return 2
    return 0


def run(name: str, quick: bool, command: str) -> Path:
    """One data set, from calibration to the page."""
    torch.set_num_threads(1)
    started, facts = time.perf_counter(), machine.facts(PACKAGES)
    effort = QUICK if quick else replace(FULL, adaptive=ROWS[name])
    subject = SUBJECTS[name](effort)
    lines = [line for chain in chains(subject, quick) for line in attacked(subject, *chain, effort)]
    facts["minutes"] = round((time.perf_counter() - started) / 60.0, 1)
    return keep(subject, lines, effort, facts, command, CACHE / "results" if quick else RESULTS)


def chains(subject: Subject, quick: bool) -> Iterator[tuple[str, Chain, Path]]:
    """The chain that an operator has who takes what is offered, and the same after self-play; and its bundle."""
    folder = CACHE / "quality" / subject.name
    yield DEFAULT, default(subject, quick).chain, folder / "default" / "bundle"
    yield DEFAULT_HARDENED, hardened(subject, quick, ROUNDS).chain, folder / "hardened" / "bundle"


def attacked(subject: Subject, name: str, chain: Chain, bundle: Path, effort: Effort) -> Iterator[Line]:
    """With more and more change allowed; what won with less of it counts with more."""
    made = sources(bundle, subject, chain.backend)
    attacker = Attacker.of(name, chain, made, subject.victims, subject.fresh, effort.strength, effort.adaptive)
    starts: tuple[tuple[str, torch.Tensor], ...] = ()
    for epsilon in EPSILONS[subject.name]:
        worked = time.process_time()
        found, rows = attacker.within(epsilon, starts)
        starts = (("with less change", rows),)
        line = Line(epsilon, found, time.process_time() - worked, passes_of(attacker))
        print(f"{subject.name}, {name}, {epsilon:.4f}: {found.past.text()} past", file=sys.stderr, flush=True)
        yield line


def passes_of(attacker: Attacker) -> float:
    """Forward passes a row of honest rows."""
    return attacker.chain.run(attacker.honest.batch).rows_run / len(attacker.honest)


if __name__ == "__main__":
    sys.exit(main())
