"""The result files of a run: serving.md and serving.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.serving.client import Burst
from benchmarks.serving.rounds import CONNECTIONS, Effort, Measured
from benchmarks.serving.systems import SYSTEMS
from benchmarks.serving.targets import Check, checks
from benchmarks.statistics import Summary
from benchmarks.tables import RESULTS, table, write

LIMIT = "bare"
HEADER = ("", "answers/s", "of bare", "p50 ms", "p99 ms", "CPU µs/request", "of bare")


def keep(runs: Sequence[Measured], effort: Effort, facts: dict[str, Any], command: str, folder: Path = RESULTS) -> Path:
    """Writes both files; gives the page's path."""
    page = "\n\n".join([_head(effort, facts, command), *(_chapter(run) for run in runs), _promises(runs)])
    document = {"command": command, "machine": facts, "effort": asdict(effort), "runs": [_json(run) for run in runs]}
    return write("serving", page, document, folder)[0]


def _head(effort: Effort, facts: dict[str, Any], command: str) -> str:
    rounds = f"{effort.rounds} rounds" if effort.rounds > 1 else "1 round"
    return f"""# What protection costs

`{command}`

{machine.sentence(facts)}

One interleaved run of {rounds}: all servers are up (one worker each, 127.0.0.1, onnxruntime on one thread), one
is under load at a time, and a round visits every server and number of connections in an order of its own, for
{effort.measure_s:g} s each. One row of 1x28x28 a request, keep-alive, one request on its way for each connection; the
load client is a process of its own. Numbers are medians over rounds with (smallest–largest); ratios are taken round by
round. CPU is the time of all of a server's processes. All systems run the same ONNX file and were checked to answer as
it does; the rows sent are honest ones that calibration never saw. Bodies: raw bytes for the limit, binary tensors of
the Open Inference Protocol for watchgate, JSON where a server's HTTP endpoint takes nothing else; "sent JSON" is
watchgate with the very bodies that MLServer gets."""


def _chapter(run: Measured) -> str:
    parts = [f"## {run.net}: {run.row_us:,.0f} µs a row in onnxruntime alone"]
    shown = [system for system in SYSTEMS if system.name in run.skipped or (system.name, 1) in run.bursts]
    for connections in CONNECTIONS:
        rows = [_row(run, system.name, system.title, connections) for system in shown]
        parts += [f"{connections} connection{'s' * (connections > 1)}", table(HEADER, rows)]
    return "\n\n".join(parts)


def _row(run: Measured, name: str, title: str, connections: int) -> tuple[str, ...]:
    bursts = run.bursts.get((name, connections))
    if not bursts:
        return (f"{title} (skipped: {run.skipped[name]})", *["–"] * (len(HEADER) - 1))
    limit = run.bursts.get((LIMIT, connections), ())
    return (
        title,
        Summary.of([b.per_second for b in bursts]).text(),
        _of_limit([b.per_second for b in bursts], [b.per_second for b in limit]),
        Summary.of([b.p50_ms for b in bursts]).text(2),
        Summary.of([b.p99_ms for b in bursts]).text(2),
        Summary.of([b.cpu_us for b in bursts]).text(),
        _of_limit([b.cpu_us for b in bursts], [b.cpu_us for b in limit]),
    )


def _of_limit(values: list[float], limit: list[float]) -> str:
    return f"{Summary.of_ratios(values, limit).median:.2f}" if limit else "–"


def _promises(runs: Sequence[Measured]) -> str:
    rows = [
        (c.promise.text, str(c.connections), "–" if c.ratio is None else c.ratio.text(2), c.outcome)
        for run in runs
        for c in checks(run)
    ]
    return "## Promises\n\n" + table(("", "connections", "measured", ""), rows)


def _json(run: Measured) -> dict[str, Any]:
    return {
        "net": run.net,
        "row_us": run.row_us,
        "skipped": dict(run.skipped),
        "bursts": [
            {"system": name, "connections": connections, "rounds": [_burst(burst) for burst in bursts]}
            for (name, connections), bursts in run.bursts.items()
        ],
        "promises": [_check(check) for check in checks(run)],
    }


def _burst(burst: Burst) -> dict[str, Any]:
    return {**asdict(burst), "per_second": burst.per_second, "cpu_us": burst.cpu_us}


def _check(check: Check) -> dict[str, Any]:
    ratio = None if check.ratio is None else asdict(check.ratio)
    return {**asdict(check.promise), "connections": check.connections, "ratio": ratio, "outcome": check.outcome}
