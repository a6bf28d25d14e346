"""The result files of a run: detection-mnist.md and detection-mnist.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.detection.judging import BUDGET, Found
from benchmarks.statistics import Rate
from benchmarks.tables import RESULTS, table, write

NAME = "detection-mnist"


@dataclass(frozen=True)
class Line:
    """One kind of rows, and what every chain found of them. `tried` is None where nothing was attacked."""

    name: str
    kind: str
    rows: int
    found: Mapping[str, Found]
    tried: int | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Setup:
    """What the numbers rest on."""

    clean_accuracy: float
    reference_rows: int
    holdout_rows: int


def keep(lines: Sequence[Line], setup: Setup, facts: dict[str, Any], command: str, folder: Path = RESULTS) -> Path:
    """Writes both files; gives the page's path."""
    flagged, rejected = BUDGET["flag"], BUDGET["reject"]
    parts = [
        _head(setup, facts, command),
        f"## At a budget of {flagged:.0%}: flagged or rejected, % of rows [95 % interval]",
        _table(lines, lambda found: found.flagged),
        f"## At a budget of {rejected:.0%}: rejected, % of rows [95 % interval]",
        _table(lines, lambda found: found.rejected),
    ]
    document = {"command": command, "machine": facts, "setup": vars(setup), "lines": [_json(line) for line in lines]}
    return write(NAME, "\n\n".join(parts), document, folder)[0]


def _head(setup: Setup, facts: dict[str, Any], command: str) -> str:
    return f"""# What the chain finds on MNIST: attacks that ignore the defense

`{command}`

{machine.sentence(facts)}

**These attacks know the model and not the chain.** Whoever knows the chain does better; adaptive figures are
another table.

The model is a small CNN ({100 * setup.clean_accuracy:.1f} % right on the whole test set). Each stage alone and the
chain were calibrated by the code of `watchgate calibrate` for the same budget, fitted on {setup.reference_rows:,}
training rows, cut on {setup.holdout_rows:,} test rows; all below is other test rows. "Accuracy" is the undefended
model's on all attacked rows (those it got wrong anyway included). "n" is the rows that count: for attacks, those that
the model had right and has wrong *after rounding to k/255*, as a picture with 8 bits a pixel is sent. Honest rows are
the price: the share found there should be the budget.

Two traps. MNIST's margin is black in every picture, so an attack that changes all pixels gives itself away to the
contract, which knows each pixel's range; few data sets are so kind, and two rows show attacks that were afterwards cut
back to those ranges, the least that a careful attacker does. And an attack that is not rounded has values that no
picture has: the contract's lattice finds it, which says nothing of attacks that can be sent. It is shown once, last."""


def _table(lines: Sequence[Line], rate: Callable[[Found], Rate]) -> str:
    names = list(lines[0].found)
    rows = []
    for line in lines:
        accuracy = "–" if line.accuracy is None else f"{100 * line.accuracy:.1f}"
        n = f"{line.rows:,}" if line.tried is None else f"{line.rows:,} of {line.tried:,}"
        rows.append((line.name, n, accuracy, *(rate(line.found[name]).text() for name in names)))
    return table(("", "n", "accuracy %", *names), rows)


def _json(line: Line) -> dict[str, Any]:
    found = {
        name: {"flagged": found.flagged.to_json(), "rejected": found.rejected.to_json()}
        for name, found in line.found.items()
    }
    return {
        "name": line.name,
        "kind": line.kind,
        "n": line.rows,
        "tried": line.tried,
        "undefended_accuracy": line.accuracy,
        "found": found,
    }
