"""`python -m benchmarks.queries`: attacks a served MNIST endpoint by queries and keeps the table of who is marked."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import Run, main
from benchmarks.data import CACHE, Labeled, mnist
from benchmarks.mnist_model import trained
from benchmarks.queries.attackers import ATTACKS
from benchmarks.queries.caller import Caller, Marked
from benchmarks.queries.report import Found, Spread, keep
from benchmarks.queries.served import ALONE, CLEAN, Place, served
from benchmarks.queries.trials import Trial, attacked, cost, habits, honest, replayed
from detectors.queries.likeness import Likeness
from gateway.chain import Chain
from gateway.telemetry.observation import ChainInfo, Observation
from gateway.tracking.intake import Intake
from gateway.training.bundle import Bundle
from gateway.training.queries import FILE
from gateway.verdict import Judged
from models.batch import Batch, InputSpec

NOISES = (0, 8, 16, 32)
KEYS = 20
PRINCIPALS = 50
PACKAGES = ("onnxruntime", "adversarial-robustness-toolbox", "numpy")


@dataclass(frozen=True)
class Effort:
    """Images a cell, the most queries of one attack and of one that is spread, spread attacks each, honest rows."""

    images: int
    most: int
    spread_most: int
    spread: int
    honest: int


FULL = Effort(11, 60, 300, 3, 20_000)
QUICK = Effort(2, 25, 120, 1, 1000)


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    train, test = mnist()
    found = measured(train, test, QUICK if run.quick else FULL, CACHE / "queries", trained(train).onnx)
    return keep(found, run.facts, run.command, run.folder)


def measured(train: Labeled, test: Labeled, effort: Effort, folder: Path, model: Path) -> Found:
    """All of it; the state of an earlier run is removed first."""
    for old in (folder / "state").glob("*.db*"):
        old.unlink()
    crowds = [f"crowd-{attack}-{number}" for attack in ATTACKS for number in range(effort.spread)]
    say("calibrating")
    with served(folder, model, train.part(0, 6000), test.part(0, 5000), crowds) as place:
        marked = Marked(place.state)
        trials = singles(place, marked, test.part(9000, 10_000), effort)
        spread = crowded(place, marked, test.part(8900, 9000), effort)
        say("honest callers")
        caller = Caller(place.port, CLEAN)
        x = np.concatenate([test.x[5000:8500], train.x[10_000 : 10_000 + effort.honest]])[: effort.honest]
        clean = effort.honest, PRINCIPALS, honest(caller, marked, x, PRINCIPALS, 2)
        caller.close()
        marked.close()
    likeness = known(folder)
    say("habits, signatures alone, cost")
    replays = [
        (
            trial,
            replayed(likeness, trial, pooled=True, hashed=False),
            replayed(likeness, trial, pooled=False, hashed=True),
        )
        for trial in trials[:: 1 if effort.images < 5 else 3]
    ]
    costs = cost(likeness, train.x[20_000:26_000]) | {"us_observe": observing(train.x[:1])}
    return Found(trials, replays, spread, KEYS, clean, habits(likeness, train.part(30_000, 34_000)), costs)


def singles(place: Place, marked: Marked, rows: Labeled, effort: Effort) -> list[Trial]:
    """Every attack at every noise, each on images of its own."""
    caller = Caller(place.port, ALONE)
    trials: list[Trial] = []
    for attack in ATTACKS:
        for noise in NOISES:
            say(f"{attack}, noise {noise}")
            for _ in range(effort.images):
                number = len(trials)
                names = [f"{attack} {noise} {number}"]
                image = rows.part(number, number + 1)
                trials.append(
                    attacked(caller, marked, image, attack, noise, most=effort.most, names=names, seed=number)[0]
                )
    caller.close()
    return trials


def crowded(place: Place, marked: Marked, rows: Labeled, effort: Effort) -> list[Spread]:
    """Every attack over many principals, each in a memory of its own."""
    found: list[Spread] = []
    for attack in ATTACKS:
        say(f"{attack} over {KEYS} principals")
        for number in range(effort.spread):
            caller = Caller(place.port, f"crowd-{attack}-{number}")
            names = [f"{attack} {number} key {key}" for key in range(KEYS)]
            image = rows.part(len(found), len(found) + 1)
            trial, ask = attacked(
                caller, marked, image, attack, 0, most=effort.spread_most, names=names, seed=len(found)
            )
            caller.close()
            last = max(ask.at.values()) if len(ask.at) == KEYS else None
            found.append(Spread(attack, trial.marked, last, KEYS - len(ask.at), trial.succeeded))
    return found


def known(folder: Path) -> Likeness:
    """What calibrate learned."""
    spec = InputSpec("image", np.dtype("float32"), (1, 28, 28), None, "NCHW")
    return Likeness.from_arrays(Bundle.open(folder / "bundle", ALONE).arrays(FILE), spec)


def observing(x: np.ndarray[tuple[int, ...], np.dtype[np.float32]], times: int = 4000) -> float:
    """Microseconds on the request path."""
    verdicts = Chain(None)._unjudged(1)  # type: ignore[arg-type]
    judged = Judged(Batch(x), verdicts, None)
    seen = Observation("id", ChainInfo("m", "v", "enforce", 0.0, 0.0, ()), 0, 0, "a", "", 200, judged)
    intake = Intake()
    started = time.perf_counter()
    for _ in range(times):
        intake.observe(seen)
    return (time.perf_counter() - started) / times * 1e6


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main("benchmarks.queries", __doc__, PACKAGES, measure))
