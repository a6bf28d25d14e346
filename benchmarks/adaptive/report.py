"""The result files: adaptive-<subject>.md and .json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.quality.adaptive import NAIVE_STEPS, Adaptive
from benchmarks.quality.effort import Effort
from benchmarks.quality.report import adaptive_json
from benchmarks.quality.subject import Subject
from benchmarks.tables import table, write


@dataclass(frozen=True)
class Line:
    """What was found of one chain with so much change, in units of the range; seconds of CPU; passes an honest row."""

    epsilon: float
    found: Adaptive
    cpu_s: float
    passes: float


def keep(
    subject: Subject, lines: Sequence[Line], effort: Effort, facts: dict[str, Any], command: str, folder: Path
) -> Path:
    """Writes both files; gives the page's path."""
    strength = effort.strength
    text = f"""# An attack that knows the chain: {subject.title}

`{command}`

{machine.sentence(facts)}

{lines[0].found.past.n} rows that the model gets right. The attacker knows the model, every detector, tail map, gate and
cut, changes each value by at most epsilon (Linf, of a range of 1), and sends rows on the grid. A row is past where the
model is wrong and the served chain neither flags nor rejects it, at a budget of 5 % of honest rows flagged. In % of all
rows attacked, with the exact 95 % interval.

"Naive" is what PGD and APGD ({NAIVE_STEPS} steps each), which know the model alone, get past, the better of both for
each row. The attack is `attacks/evading`: {strength.steps} steps a descent, {strength.descents} descents,
{strength.guides} honest rows of other classes to be like, {strength.rounds} tries of a search on the grid; what less
change has won, it may start from. Epsilon 1 bounds nothing: less than 100 % there would mean that the attack is weak.

{table(_HEADS, [_cells(line) for line in lines])}

What won the rows:

{_winners(lines)}"""
    document = {
        "command": command,
        "machine": facts,
        "subject": subject.name,
        "strength": asdict(strength),
        "lines": [
            {"epsilon": line.epsilon, "cpu_s": round(line.cpu_s, 1), "passes": line.passes, **adaptive_json(line.found)}
            for line in lines
        ],
    }
    return write(f"adaptive-{subject.name}", text, document, folder)[0]


_HEADS = (
    "chain",
    "epsilon",
    "naive: fools the model",
    "naive: past",
    "fools the model",
    "**past**",
    "passes a row",
    "only asked",
)


def _cells(line: Line) -> tuple[str, ...]:
    found = line.found
    rates = (found.naive_fooled, found.naive_past, found.fooled, found.past)
    texts = [rate.text() for rate in rates]
    return (found.chain, _spoken(line.epsilon), *texts, f"{line.passes:.2f}", ", ".join(found.blind) or "none")


def _spoken(epsilon: float) -> str:
    levels = epsilon * 255.0
    return f"{levels:.0f}/255" if abs(levels - round(levels)) < 1e-6 and epsilon < 1.0 else f"{epsilon:g}"


def _winners(lines: Sequence[Line]) -> str:
    told = []
    for line in lines:
        by = sorted(line.found.by.items(), key=lambda item: -item[1])
        counts = ", ".join(f"{count} by {name}" for name, count in by) or "nothing"
        told.append(f"- {line.found.chain}, {_spoken(line.epsilon)}: {counts}")
    return "\n".join(told)
