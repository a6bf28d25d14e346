"""The kept page: who is marked when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.queries.attackers import ATTACKS, L2, LINF
from benchmarks.queries.trials import Trial
from benchmarks.tables import table, write


@dataclass(frozen=True)
class Spread:
    """An attack over several keys: at which query the first of them was marked, and the last; how many never were."""

    attack: str
    first: int | None
    last: int | None
    unmarked: int
    succeeded: int | None


@dataclass(frozen=True)
class Found:
    """Everything that was measured."""

    trials: Sequence[Trial]
    alone: Sequence[tuple[Trial, int | None, int | None]]  # with the query at which either signature alone finds it
    spread: Sequence[Spread]
    keys: int
    clean: tuple[int, int, int]  # rows, principals, marked
    habits: dict[str, tuple[int, int]]
    cost: dict[str, float]


def keep(found: Found, facts: dict[str, Any], command: str, folder: Path) -> Path:
    """Writes the page and its numbers; gives the page's path."""
    rows, principals, marked = found.clean
    parts = [
        "# Queries that are alike",
        f"`{command}`; {machine.sentence(facts)}",
        f"MNIST, served by `watchgate serve` with one worker, `queries: {{steps: [flag]}}`. Every attack starts on an "
        f"image of its own as a principal of its own, as fast as it gets answers. It succeeds with a misclassified "
        f"image within Linf {LINF} (Square, NES) or L2 {L2} (HopSkipJump, Boundary), before noise. Noise is Gaussian, "
        "its standard deviation in 255ths. Exact resends count as queries and not as evidence.",
        "## One principal",
        _one(found.trials),
        "## Either signature alone",
        "The median query at which the same queries are found; – where fewer than half of the attacks are.",
        _alone(found.alone),
        f"## One attack over {found.keys} principals",
        _spread(found.spread),
        "## Honest callers",
        f"{rows} rows of {principals} principals over HTTP, every one looked at: {marked} marked.",
        _habits(found.habits),
        "## Cost",
        _cost(found.cost),
    ]
    document = {
        "facts": facts,
        "trials": [_plain(trial) for trial in found.trials],
        "alone": [(_plain(trial), pooled, hashed) for trial, pooled, hashed in found.alone],
        "spread": [_fields(each) for each in found.spread],
        "clean": {"rows": rows, "principals": principals, "marked": marked},
        "habits": found.habits,
        "cost": found.cost,
    }
    return write("queries-mnist", "\n\n".join(parts), document, folder)[0]


def _one(trials: Sequence[Trial]) -> str:
    header = [
        "attack",
        "noise",
        "attacks",
        "marked",
        "query (median)",
        "new (median)",
        "latest",
        "10th + s",
        "succeeded first",
    ]
    rows = []
    for attack, noise in _cells(trials):
        cell = [trial for trial in trials if (trial.attack, trial.noise) == (attack, noise)]
        late = [trial.late_s for trial in cell if trial.late_s is not None]
        unmarked = [trial for trial in cell if trial.marked is None]
        rows.append(
            [
                attack,
                str(noise),
                str(len(cell)),
                str(len(cell) - len(unmarked)),
                _median([trial.marked for trial in cell]),
                _median([trial.new for trial in cell]),
                "never" if unmarked else str(max(trial.marked or 0 for trial in cell)),
                f"{max(late):.2f}" if late else "–",
                str(sum(trial.succeeded is not None and not trial.in_time for trial in cell)),
            ]
        )
    return table(header, rows)


def _alone(alone: Sequence[tuple[Trial, int | None, int | None]]) -> str:
    rows = []
    for attack, noise in _cells([trial for trial, _, _ in alone]):
        cell = [each for each in alone if (each[0].attack, each[0].noise) == (attack, noise)]
        rows.append([attack, str(noise), _median([each[1] for each in cell]), _median([each[2] for each in cell])])
    return table(["attack", "noise", "pooled", "hashes"], rows)


def _spread(spread: Sequence[Spread]) -> str:
    rows = []
    for attack in dict.fromkeys(each.attack for each in spread):
        cell = [each for each in spread if each.attack == attack]
        rows.append(
            [
                attack,
                str(len(cell)),
                _median([each.first for each in cell]),
                _median([each.last for each in cell]),
                str(sum(each.unmarked for each in cell)),
                _median([each.succeeded for each in cell]),
            ]
        )
    header = ["attack", "attacks", "first marked (median query)", "all marked", "principals never marked", "success"]
    return table(header, rows)


def _habits(habits: dict[str, tuple[int, int]]) -> str:
    return table(["habit", "callers", "marked"], [[name, str(of), str(n)] for name, (n, of) in habits.items()])


def _cost(cost: dict[str, float]) -> str:
    return (
        f"In the worker {cost['us_a_row_by_1']:.0f} µs of CPU a row that comes alone, {cost['us_a_row_by_16']:.0f} µs "
        "a row of 16 at once, for at most `rows_per_second`; on the request path "
        f"{cost['us_observe']:.2f} µs a request. "
        f"{cost['bytes_a_signature']:.0f} bytes a signature, {cost['mebibytes']:.1f} MiB "
        "for 50 principals and everybody."
    )


def _cells(trials: Sequence[Trial]) -> list[tuple[str, int]]:
    return [(a, n) for a in ATTACKS for n in sorted({t.noise for t in trials if t.attack == a})]


def _median(values: Sequence[int | None]) -> str:
    found = float(np.median([np.inf if value is None else value for value in values])) if values else np.inf
    return f"{found:g}" if np.isfinite(found) else "–"


def _plain(trial: Trial) -> dict[str, Any]:
    fields = ("attack", "noise", "marked", "new", "late_s", "succeeded")
    return {name: getattr(trial, name) for name in fields} | {"asked": len(trial.asked)}


def _fields(each: Spread) -> dict[str, Any]:
    return {name: getattr(each, name) for name in ("attack", "first", "last", "unmarked", "succeeded")}
