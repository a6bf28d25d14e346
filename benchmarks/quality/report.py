"""The result files of a run: quality-<subject>.md and .json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.detection.judging import BUDGET
from benchmarks.quality.adaptive import Adaptive
from benchmarks.quality.chains import Refused
from benchmarks.quality.judging import Judged, kin_left_out
from benchmarks.quality.subject import Probe, Subject
from benchmarks.quality.targets import Check, Table, checks
from benchmarks.statistics import Rate
from benchmarks.tables import table, write

TITLES = {
    "attack": "Attacks that ignore the defense",
    "tampered": "Rows gone wrong on the way",
    "outside": "Out of the domain",
    "corrupted": "Honest rows, mildly worn: a low share is a good one",
}


def keep(subject: Subject, found: Table, refused: Refused, facts: dict[str, Any], command: str, folder: Path) -> Path:
    """Writes both files; gives the page's path."""
    lines = [line for line in found.lines if line.family is None]
    composed = kin_left_out(found.lines, found.probes)
    if composed is not None:
        lines.insert(next(i for i, line in enumerate(lines) if line.alone), composed)
    promises = checks(subject.name, found)
    parts = [_head(subject, facts, command), _promises(promises)]
    for role, title in TITLES.items():
        probes = found.of(role)
        if probes:
            parts += _tables(title, lines, probes)
    parts += [_adaptive(subject, found.adaptive), _honest(lines, found.of("honest")[0]), _remarks(lines, refused)]
    document = {
        "command": command,
        "machine": facts,
        "subject": {"name": subject.name, "accuracy": subject.accuracy, "remarks": list(subject.remarks)},
        "budget": BUDGET,
        "probes": [{"name": p.name, "role": p.role, "rows": len(p.x), "tried": p.tried} for p in found.probes],
        "chains": [_line_json(line) for line in [*found.lines, *([composed] if composed is not None else [])]],
        "adaptive": [adaptive_json(line) for line in found.adaptive],
        "promises": [vars(check) for check in promises],
        "refused": refused.why,
    }
    return write(f"quality-{subject.name}", "\n\n".join(part for part in parts if part), document, folder)[0]


def _head(subject: Subject, facts: dict[str, Any], command: str) -> str:
    remarks = "\n\n".join(subject.remarks)
    return f"""# Detection quality: {subject.title}

`{command}`

{machine.sentence(facts)}

The model gets {100 * subject.accuracy:.1f} % right of rows that it was not trained on. Chains are calibrated by the
product's own code on one reference and one holdout; all below is other rows. Cells are the share found, in %, with the
exact 95 % interval; the numbers of rows stand in the heads. Attacked rows are those that the model had right and has
wrong as they could be sent: rounded to k/255, or whole numbers in a table. "Kin left out" is, for each attack, the
combiner that learned from no attack of its kind: attacks are our own, in the kinds that calibrate makes.

{remarks}""".rstrip()


def _promises(promises: Sequence[Check]) -> str:
    rows = [(check.chain, check.promise, check.measured, "yes" if check.kept else "**no**") for check in promises]
    return "## What it should show\n\n" + table(("chain", "target", "measured (the worst)", "kept"), rows)


def _tables(title: str, lines: Sequence[Judged], probes: Sequence[Probe]) -> Iterator[str]:
    heads = [f"{probe.name} ({len(probe.x)})" for probe in probes]
    for flagged, budget in ((True, BUDGET["flag"]), (False, BUDGET["reject"])):
        rows = []
        for line in lines:
            found = [line.found[probe.name] for probe in probes]
            rates = [each.flagged if flagged else each.rejected for each in found]
            rows.append((line.name, f"{100 * line.mean(probes, flagged):.0f}", *map(cell, rates)))
        yield f"## {title}, at {budget:.0%}\n\n" + table(("", "mean", *heads), rows)


def cell(rate: Rate) -> str:
    """`share [low-high]` in whole percents."""
    low, high = rate.interval
    return f"{100 * rate.share:.0f} [{100 * low:.0f}-{100 * high:.0f}]"


def _adaptive(subject: Subject, lines: Sequence[Adaptive]) -> str:
    if not lines:
        return ""
    rows = []
    for line in lines:
        rates = (line.naive_past, line.past, line.fooled, line.found.flagged, line.found.rejected)
        rows.append((line.chain, *(rate.text() for rate in rates), ", ".join(line.blind) or "none"))
    heads = (
        "",
        "naive: past at 5 %, of all",
        "past at 5 %, of all",
        "fool the model, of all",
        "found at 5 %, of these",
        "at 1 %",
        "only asked",
    )
    return f"""## An attack that knows the chain

Within {subject.spoken} in Linf, on the grid, knowing everything: see `attacks/evading`. It aims below the cut for
flagging, so that the figure at 1 % is not the worst that could be done there. "Naive" are PGD and APGD, which know the
model alone. "Only asked" are stages whose evidence it has no gradient of.

{table(heads, rows)}"""


def _honest(lines: Sequence[Judged], honest: Probe) -> str:
    rows = []
    for line in lines:
        found = line.found[honest.name]
        costs = (f"{line.passes:.2f}", f"{line.seconds:.0f}")
        rows.append((line.name, found.flagged.text(), found.rejected.text(), *costs, ", ".join(line.stages)))
    heads = ("", "found at 5 %", "at 1 %", "forward passes a row", "calibrated in, s", "stages")
    return f"## Honest rows ({len(honest.x):,}): what it costs\n\n" + table(heads, rows)


def _remarks(lines: Sequence[Judged], refused: Refused) -> str:
    told = [f"- {line.name}: {note}" for line in lines for note in line.notes if not line.alone]
    told += [f"- {kind} does not suit: {why}" for kind, why in refused.why.items()]
    return "## Notes\n\n" + "\n".join(told) if told else ""


def _line_json(line: Judged) -> dict[str, Any]:
    return {
        "name": line.name,
        "stages": list(line.stages),
        "passes": line.passes,
        "calibrated_s": line.seconds,
        "left_out": line.family,
        "notes": list(line.notes),
        "found": {
            name: {"flagged": found.flagged.to_json(), "rejected": found.rejected.to_json()}
            for name, found in line.found.items()
        },
    }


def adaptive_json(line: Adaptive) -> dict[str, Any]:
    """As it stands in a result file."""
    return {
        "chain": line.chain,
        "fooled": line.fooled.to_json(),
        "flagged": line.found.flagged.to_json(),
        "rejected": line.found.rejected.to_json(),
        "past": line.past.to_json(),
        "naive_fooled": line.naive_fooled.to_json(),
        "naive_past": line.naive_past.to_json(),
        "won_by": dict(line.by),
        "only_asked": list(line.blind),
    }
