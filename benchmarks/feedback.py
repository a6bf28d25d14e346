"""`python -m benchmarks.feedback`: what true labels cost, and how long their monitor is silent and how soon it speaks.

Rows with labels are drawn from a table of true class and error, so that streams without drift are exactly that. The
table of MNIST is the benchmark network's on its test rows; the other one is a poor model's of two classes.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import Run, main
from benchmarks.data import CACHE, mnist
from benchmarks.drift.runs import RunLengths, delays, designed, run_lengths, split
from benchmarks.drift.subjects import Subject
from benchmarks.mnist_model import trained
from benchmarks.networks import predict
from benchmarks.tables import table, write
from detectors.drift.encoder import Rows
from detectors.drift.schedule import Schedule
from gateway.chain import Chain
from gateway.state.shared.sqlite import SqliteShared
from gateway.tracking.drift.sums import PendingSums
from gateway.tracking.feedback.accuracy import ERROR, LABEL, Labelled
from gateway.tracking.feedback.answers import AnswerLog
from gateway.tracking.feedback.config import FeedbackConfig
from gateway.tracking.feedback.labels import POINT_S, FeedbackDesk
from gateway.tracking.seen import Seen
from gateway.verdict import Judged
from gateway.wire.feedback import Label
from models.backend import Outputs
from models.batch import Array, Batch

PACKAGES = ("numpy", "torch")
NAME = "feedback"
SCHEDULES = (Schedule(500, 20_000), Schedule(500, 5_000))
POOL = 40_000
POOR = np.array([[0.70, 0.05], [0.15, 0.10]])  # class by error: a model that is right on 85 %


@dataclass(frozen=True)
class Effort:
    """Random references, streams of each, trials of each drift, and requests that are timed."""

    splits: int
    streams: int
    trials: int
    requests: int


FULL, QUICK = Effort(8, 25, 50, 20_000), Effort(2, 2, 5, 1000)


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    effort = QUICK if run.quick else FULL
    subjects = [subject("mnist", of_mnist()), subject("poor model", POOR)]
    silent = [
        (each.name, schedule, run_lengths(each, schedule, effort.splits, effort.streams, say))
        for each in subjects
        for schedule in SCHEDULES
    ]
    spoken = [(each.name, *late) for each in subjects for late in delayed(each, effort.trials)]
    costs = cost(CACHE / "feedback", effort.requests)
    return kept(silent, spoken, costs, run)


def of_mnist() -> Array:
    """(classes, 2): the share of test rows of each class that the network gets right, and wrong."""
    train, test = mnist()
    wrong = predict(trained(train).network, test.x) != test.y
    counts = np.zeros((10, 2))
    np.add.at(counts, (test.y, wrong.astype(int)), 1)
    return np.asarray(counts / counts.sum())


def drawn(shares: Array, n: int, rng: np.random.Generator) -> Rows:
    """Rows of these shares: error and true class."""
    cells = rng.choice(shares.size, n, p=shares.ravel() / shares.sum())
    return Rows(np.stack([cells % 2, cells // 2], axis=1).astype(np.float64), None)


def subject(name: str, shares: Array) -> Subject:
    """What is watched, and how it may drift."""
    rng = np.random.default_rng(0)
    wrong = shares.sum(axis=0)[1]
    mixed = shares * np.where(np.arange(len(shares)) < max(1, len(shares) // 5), 2.0, 1.0)[:, None]
    drifts = {
        "errors twice as often": shares * [(1 - 2 * wrong) / (1 - wrong), 2.0],
        "accuracy 5 points lower": shares * [(0.95 - wrong) / (1 - wrong), (wrong + 0.05) / wrong],
        "a fifth of the classes doubled": mixed / mixed.sum(),
    }
    columns = (ERROR, LABEL)
    found = {what: drawn(each, 6000, rng) for what, each in drifts.items()}
    return Subject(name=name, unseen=drawn(shares, POOL, rng), drifts=found, projection=None, columns=columns)


def delayed(each: Subject, trials: int) -> list[tuple[str, Array]]:
    """Rows from a change to the alarm, at one false alarm in 20,000."""
    reference, rest = split(each, 0)
    return list(delays(each, designed(each, reference, SCHEDULES[0], 0), rest, trials))


def cost(folder: Path, requests: int) -> dict[str, float]:
    """Microseconds of CPU: logging an answer of one row and of eight, taking a label; bytes an answer takes on disk."""
    found = {}
    for rows in (1, 8):
        shutil.rmtree(folder, ignore_errors=True)
        log = AnswerLog({"m": ("0" * 12, FeedbackConfig(most=10_000_000))})
        store = SqliteShared.open(folder)
        seen = answered(requests, rows)
        started = time.process_time()
        for start in range(0, requests, 100):  # as many as come in between two turns of a busy gateway
            log.take(seen[start : start + 100])
            log.close(0.0)
            if start % 1000 == 0:
                log.exchange(store)
        log.exchange(store)
        found[f"us_answer_{rows}"] = (time.process_time() - started) / requests * 1e6
        if rows == 1:
            size = sum(file.stat().st_size for file in folder.glob("shared.db*"))
            found["bytes_answer"] = size / requests
            found["us_label"] = labelled(folder, seen)
    return found


def answered(requests: int, rows: int) -> list[Seen]:
    """Requests as the tracker sees them."""
    rng = np.random.default_rng(0)
    verdicts = Chain(None)._unjudged(rows)  # type: ignore[arg-type]
    x = np.zeros((rows, 4), dtype=np.float32)
    found = []
    for number in range(requests):
        outputs = Outputs({}, rng.normal(size=(rows, 10)).astype(np.float32), None)
        found.append(Seen("m", f"caller {number % 50}", f"{number:032x}", Judged(Batch(x), verdicts, outputs)))
    return found


def labelled(folder: Path, seen: Sequence[Seen]) -> float:
    """Microseconds a label, in requests of 100."""
    desk = FeedbackDesk({"m": Labelled("m", "0" * 12, None, POINT_S)}, PendingSums(), lambda: SqliteShared.open(folder))
    labels = [Label(each.id, 0, 3) for each in seen]
    started = time.process_time()
    for start in range(0, len(labels), 100):
        counted = desk.count("m", None, labels[start : start + 100])
        assert counted.counted == 100
    spent = (time.process_time() - started) / len(labels) * 1e6
    desk.close()
    return spent


def kept(
    silent: Sequence[tuple[str, Schedule, RunLengths]],
    spoken: Sequence[tuple[str, str, Array]],
    costs: dict[str, float],
    run: Run,
) -> Path:
    """Writes the page and its numbers."""
    quiet = [
        [
            name,
            f"1 in {schedule.false_alarm_rows:,}",
            f"{runs.average:,.0f}",
            "{:,.0f} to {:,.0f}".format(*runs.interval),
        ]
        for name, schedule, runs in silent
    ]
    soon = [
        [
            f"{name}: {what}",
            *(shown(float(np.quantile(rows, q, method="inverted_cdf"))) for q in (0.5, 0.9)),
            f"{np.isinf(rows).mean():.0%}",
        ]
        for name, what, rows in spoken
    ]
    text = (
        f"# True labels\n\n`{run.command}`\n\n## Rows between false alarms\n\n"
        f"{table(('', 'asked', 'found', '95 %'), quiet)}\n\n"
        f"## Rows with labels until an alarm\n\nAt a window of {SCHEDULES[0].window_rows} and one false alarm in "
        f"{SCHEDULES[0].false_alarm_rows:,}.\n\n{table(('', 'median', '90 %', 'not in 6,000'), soon)}\n\n"
        f"## Cost\n\nMicroseconds of CPU beside the path, SQLite: logging an answer of one row "
        f"{costs['us_answer_1']:.1f}, of eight rows {costs['us_answer_8']:.1f} ({costs['us_answer_8'] / 8:.1f} a row); "
        f"a label, in requests of 100, {costs['us_label']:.0f}. An answer of one row takes "
        f"{costs['bytes_answer']:.0f} bytes on disk.\n"
    )
    document: dict[str, Any] = {
        "facts": run.facts,
        "silent": [
            {"subject": name, "asked": schedule.false_alarm_rows, "found": runs.average, "interval": runs.interval}
            for name, schedule, runs in silent
        ],
        "delays": [
            {"subject": name, "drift": what, "rows": [None if np.isinf(each) else each for each in rows.tolist()]}
            for name, what, rows in spoken
        ],
        "cost": costs,
    }
    return write(NAME, text, document, run.folder)[0]


def shown(rows: float) -> str:
    """Rows until an alarm."""
    return "over 6,000" if np.isinf(rows) else f"{rows:,.0f}"


def say(line: str) -> None:
    """Progress, beside the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main("benchmarks.feedback", __doc__, PACKAGES, measure))
