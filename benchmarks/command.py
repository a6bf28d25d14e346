"""What the commands of benchmarks on a shared data set have in common: `--quick`, facts, where results go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.data import CACHE, DataMissing
from benchmarks.tables import RESULTS


@dataclass(frozen=True)
class Run:
    """One run of a command. `facts` were read before anything was measured; a quick run's results are not kept."""

    command: str
    quick: bool
    facts: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where the result files go."""
        return CACHE / "results" if self.quick else RESULTS


def main(module: str, about: str | None, packages: Sequence[str], measure: Callable[[Run], Path]) -> int:
    """Runs `measure` and prints the page it wrote; status 2 where the data set is absent."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--quick", action="store_true", help="few rows: shows that all works, measures little")
    quick = parser.parse_args().quick
    run = Run(f"python -m {module}" + " --quick" * quick, quick, machine.facts(packages))
    try:
        print(measure(run).read_text())
    except DataMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    return 0
