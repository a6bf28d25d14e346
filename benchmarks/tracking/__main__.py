"""`python -m benchmarks.tracking`: what counting rows for drift costs a row, on the request path and beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.data import mnist
from benchmarks.drift.runs import designed, split
from benchmarks.drift.subjects import Subject, adult_subject, mnist_subject
from benchmarks.tables import table, write
from benchmarks.tracking.cost import Beside, beside, request_us, requests
from detectors.drift.schedule import Schedule
from gateway.tracking.drift.config import DriftConfig
from gateway.tracking.drift.rows import Watched
from models.batch import Array, InputSpec

PACKAGES = ("numpy",)
RATES = (5000, 1000, 100, 10)
FLAGGED = 0.02
SUBJECTS: dict[str, Callable[[], tuple[Subject, Array | None, InputSpec]]] = {
    "mnist": lambda: (mnist_subject(), mnist()[1].x, InputSpec("image", np.dtype("float32"), (1, 28, 28))),
    "adult": lambda: _table(adult_subject()),
}


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    torch.set_num_threads(1)
    found: dict[str, list[Beside]] = {}
    paths: dict[str, float] = {}
    series: dict[str, int] = {}
    for name, make in SUBJECTS.items():
        subject, x, spec = make()
        flagged = np.random.default_rng(0).random(len(subject.unseen)) < FLAGGED
        subject = replace(subject, unseen=replace(subject.unseen, flagged=flagged))
        reference, rest = split(subject, 0)
        monitor = designed(subject, reference, Schedule(2000, 20_000), 0)
        watched = Watched("m", "v", monitor, spec, 10.0, DriftConfig().rows_per_second)
        pool = None if x is None else x[: len(rest)]
        rest = rest if pool is None else rest.take(slice(0, len(pool)))
        series[name] = len(monitor.encoder.names)
        paths[name] = request_us(next(requests(rest, pool, 1)).judged)
        totals = (50_000, 20_000, 5_000, 1_000) if run.quick else (1_000_000, 1_000_000, 100_000, 20_000)
        found[name] = [beside(watched, rest, pool, n, rate) for n, rate in zip(totals, RATES, strict=True)]
    return keep(found, paths, series, run)


def keep(found: dict[str, list[Beside]], paths: dict[str, float], series: dict[str, int], run: Run) -> Path:
    """Writes the page; gives its path."""
    rows = [
        [
            f"{name}, {series[name]} series",
            f"{each.per_second:,}",
            f"{each.rows:,}",
            f"{each.left_out:.0%}",
            f"{paths[name]:.2f}",
            f"{each.counting_us:.1f}",
            f"{each.store_us:.1f}",
            f"{each.us:.1f}",
            f"{each.us * each.per_second / 1e4:.2f}",
            f"{each.grown_mb:+.1f}",
        ]
        for name, some in found.items()
        for each in some
    ]
    head = [
        *("subject", "rows a second", "rows", "left out", "request path µs", "counting µs a row", "store µs a row"),
        *("both, µs a row", "% of a core", "MB grown"),
    ]
    text = "\n\n".join(
        [
            "# What counting rows for drift costs",
            f"`{run.command}`; {machine.sentence(run.facts)}",
            "One row a request, 2 % of them flagged, arriving evenly; time is made to pass, CPU is real. *Request "
            "path*: handing a request to the tracker. *Counting*: gathering, encoding and adding, in turns of 20 ms. "
            "*Store*: two exchanges a second with a SQLite file (flush, seal, fold, status, history), buckets of 10 s, "
            "one replica. *Left out*: beyond `rows_per_second`, 300 by default. *Grown* is resident memory after all "
            "rows, beyond that after a tenth of them.",
            table(head, rows),
        ]
    )
    document = {
        "facts": run.facts,
        "request_us": paths,
        "beside": {name: [asdict(each) for each in some] for name, some in found.items()},
    }
    return write("tracking", text, document, run.folder)[0]


def _table(subject: Subject) -> tuple[Subject, None, InputSpec]:
    assert subject.unseen.columns is not None
    columns = subject.unseen.columns
    return subject, None, InputSpec("table", columns.dtype, columns.shape[1:])


if __name__ == "__main__":
    sys.exit(main("benchmarks.tracking", __doc__, PACKAGES, measure))
