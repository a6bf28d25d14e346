"""`python -m benchmarks.selection`: what `chain: auto` chooses on 10,000 MNIST rows, and how long that takes."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.data import CACHE, DataMissing, mnist
from benchmarks.mnist_model import trained
from gateway.config import Config
from gateway.training.calibrate import calibrate
from gateway.training.learning import Learning

ENDPOINT = "mnist"
ROWS = 5000  # of the reference, and as many of the holdout
WIDTH = 100


class Clock:
    """Says on standard error when each part of the work begins."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.part = ""

    def __call__(self, what: str, done: int, of: int) -> None:
        part = what.split()[0]
        if part != self.part:
            self.part = part
            print(f"{time.perf_counter() - self.started:7.1f} s  {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Status 2 where the data set is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="as `calibrate --quick`")
    parser.add_argument("--cost", type=float, default=1.3, help="at most so many forward passes a row")
    asked = parser.parse_args()
    try:
        found = config(asked.cost)
    except DataMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    facts, clock, worked = machine.facts(("onnxruntime", "torch", "numpy", "scipy")), Clock(), time.process_time()
    report = calibrate(found, ENDPOINT, progress=clock, learning=Learning(quick=asked.quick))
    print(machine.sentence(facts))
    print(f"{time.perf_counter() - clock.started:.0f} s, {time.process_time() - worked:.0f} s of CPU")
    Console(width=WIDTH).print(report.table())
    return 0


def config(cost: float | None, folder: Path = CACHE / "selection") -> Config:
    """An endpoint whose stages are left open.

    Raises:
        DataMissing: MNIST is not there.
    """
    train, test = mnist()
    folder.mkdir(parents=True, exist_ok=True)
    endpoint = {
        "model": {"kind": "onnx", "path": str(trained(train).onnx), "input": {"bounds": [0, 1]}},
        "reference": train.part(0, ROWS).save(folder / "reference.npz"),
        "holdout": test.part(0, ROWS).save(folder / "holdout.npz"),
        "chain": "auto",
        "cost": cost,
    }
    return Config.model_validate({"endpoints": {ENDPOINT: endpoint}, "bundle": folder / "bundle"})


if __name__ == "__main__":
    sys.exit(main())
